//! The page of one Deployment, whole: pictures, numbers, difference, history.

use super::*;

#[test]
fn a_trial_that_goes_on() {
    insta::assert_snapshot!(lines(main_of(&detail(&running(), now()).unwrap())), @r#"
     id="main" tabindex="-1">
    <nav class="filter" aria-label="Where this is"><ul>
    <li><a id="up" href="../">All canaries</a></li>
    <li><a id="up-namespace" href="../?namespace=shop">shop</a></li></ul></nav>
    <h1>shop/<wbr>app <span class="phase busy">Running</span></h1>
    <p class="sentence" id="sentence" data-sentence>Running: 12 of 338 requests that are needed, 0 failed; about 3m11s at this rate; primary 1 of 108 failed; evidence against it 0.2:1 (100:1 rejects)</p>
    <section aria-labelledby="facts">
    <h2 id="facts">What is known</h2><dl>
    <div><dt>Phase</dt><dd>Running for 42s</dd></div>
    <div><dt>Change</dt><dd>registry.example/shop/app:1.9.0 -&gt; registry.example/shop/app:2.0.0</dd></div>
    <div><dt>Applied by</dt><dd>ann (kubectl)</dd></div>
    <div><dt>Canary</dt><dd>Ready for 7s; judged for 30s, given up after 10m</dd></div></dl></section>
    <section aria-labelledby="counted">
    <h2 id="counted">What was counted</h2>
    <div class="pictures">
    <figure>
    <svg viewBox="0 0 480 260" role="img" aria-label="Error rate over time: the canary's is 0% at last, the primary's 0.93%, the limit 1%">
    <line class="grid" x1="64" x2="464" y1="208.0" y2="208.0"/>
    <text x="56.0" y="212.0" text-anchor="end">0%</text>
    <line class="grid" x1="64" x2="464" y1="160.0" y2="160.0"/>
    <text x="56.0" y="164.0" text-anchor="end">0.5%</text>
    <line class="grid" x1="64" x2="464" y1="112.0" y2="112.0"/>
    <text x="56.0" y="116.0" text-anchor="end">1%</text>
    <line class="grid" x1="64" x2="464" y1="64.0" y2="64.0"/>
    <text x="56.0" y="68.0" text-anchor="end">1.5%</text>
    <line class="grid" x1="64" x2="464" y1="16.0" y2="16.0"/>
    <text x="56.0" y="20.0" text-anchor="end">2%</text>
    <text x="64.0" y="226.0" text-anchor="middle">0 s</text>
    <text x="264.0" y="226.0" text-anchor="middle">15 s</text>
    <text x="464.0" y="226.0" text-anchor="middle">30 s</text>
    <line class="threshold harm" x1="64" x2="464" y1="112.0" y2="112.0"/>
    <text class="harm" x="70.0" y="107.0">limit 1%</text>
    <polyline class="line primary" points="157.3,119.1"/>
    <circle class="dot primary" cx="157.3" cy="119.1" r="2.5"/>
    <polyline class="line canary" points="157.3,208.0"/>
    <circle class="dot canary" cx="157.3" cy="208.0" r="2.5"/>
    <text class="canary" x="64.0" y="252.0">● canary</text>
    <text class="primary" x="154.0" y="252.0">● primary</text>
    </svg><figcaption>Failed requests of both, from look to look, and the limit.</figcaption></figure>
    <figure>
    <svg viewBox="0 0 480 260" role="img" aria-label="Evidence over time: 0.2:1 against the canary at last, which is rejected at 100:1; 3.0:1 for it, which may be promoted at 20:1">
    <line class="grid" x1="64" x2="464" y1="208.0" y2="208.0"/>
    <text x="56.0" y="212.0" text-anchor="end">1 : 100</text>
    <line class="grid" x1="64" x2="464" y1="176.0" y2="176.0"/>
    <text x="56.0" y="180.0" text-anchor="end">1 : 10</text>
    <line class="grid" x1="64" x2="464" y1="144.0" y2="144.0"/>
    <text x="56.0" y="148.0" text-anchor="end">1 : 1</text>
    <line class="grid" x1="64" x2="464" y1="112.0" y2="112.0"/>
    <text x="56.0" y="116.0" text-anchor="end">10 : 1</text>
    <line class="grid" x1="64" x2="464" y1="80.0" y2="80.0"/>
    <text x="56.0" y="84.0" text-anchor="end">100 : 1</text>
    <line class="grid" x1="64" x2="464" y1="48.0" y2="48.0"/>
    <text x="56.0" y="52.0" text-anchor="end">1000 : 1</text>
    <line class="grid" x1="64" x2="464" y1="16.0" y2="16.0"/>
    <text x="56.0" y="20.0" text-anchor="end">10000 : 1</text>
    <text x="64.0" y="226.0" text-anchor="middle">0 s</text>
    <text x="264.0" y="226.0" text-anchor="middle">15 s</text>
    <text x="464.0" y="226.0" text-anchor="middle">30 s</text>
    <line class="threshold harm" x1="64" x2="464" y1="80.0" y2="80.0"/>
    <text class="harm" x="70.0" y="75.0">100 : 1 rejects</text>
    <polyline class="line harm" points="64.0,144.0 157.3,166.4"/>
    <circle class="dot harm" cx="64.0" cy="144.0" r="2.5"/>
    <circle class="dot harm" cx="157.3" cy="166.4" r="2.5"/>
    <polyline class="line safe" points="64.0,144.0 157.3,128.7"/>
    <circle class="dot safe" cx="64.0" cy="144.0" r="2.5"/>
    <circle class="dot safe" cx="157.3" cy="128.7" r="2.5"/>
    <line class="threshold safe" x1="64" x2="464" y1="102.4" y2="102.4"/>
    <text class="safe" x="70.0" y="97.4">20 : 1 may promote</text>
    <text class="harm" x="64.0" y="252.0">● worse than the primary</text>
    <text class="safe" x="234.0" y="252.0">● below the limit</text>
    </svg><figcaption>The evidence against the canary and for it; each decides at its line.</figcaption></figure></div>
    <figure class="bar">
    <svg viewBox="0 0 480 18" role="img" aria-label="12 of 338 requests that are needed">
    <rect class="bar" x="1" y="2" width="478.0" height="14" rx="3"/>
    <rect class="bar done" x="1" y="2" width="17.0" height="14" rx="3"/>
    </svg><figcaption>12 of 338 requests that are needed, 0 failed; about 3m11s at this rate; primary 1 of 108 failed; evidence against it 0.2:1 (100:1 rejects)</figcaption></figure>
    <details id="numbers-now"><summary id="summary-now">The numbers</summary>
    <div class="scroll" role="group" aria-label="Numbers" tabindex="0"><table><thead>
    <tr><th scope="col">Time</th><th scope="col">Canary</th><th scope="col">Failed</th><th scope="col">Primary</th><th scope="col">Failed</th><th scope="col">Against</th><th scope="col">For</th><th scope="col">Needed</th></tr></thead><tbody>
    <tr><th scope="row"><time datetime="2026-11-27T12:00:35Z">12:00:35 UTC</time></th><td>0</td><td>0</td><td>0</td><td>0</td><td>1.00:1</td><td>1.00:1</td><td>300</td></tr>
    <tr><th scope="row"><time datetime="2026-11-27T12:00:42Z">12:00:42 UTC</time></th><td>12</td><td>0</td><td>108</td><td>1</td><td>0.20:1</td><td>3.00:1</td><td>338</td></tr></tbody></table></div></details></section>
    <section aria-labelledby="read">
    <h2 id="read">What is read</h2>
    <p>Now: reading http_requests_total by code from Prometheus.</p>
    <pre tabindex="0" role="group" aria-label="Query"><code>sum by (pod, code) (rate(http_requests_total{namespace=&quot;shop&quot;}[1m]))</code></pre>
    <p>Coalmine finds the series by itself. Which ones it chose, and why it waits, says:</p>
    <pre tabindex="0" role="group" aria-label="Command"><code>kubectl coalmine explain app -n shop</code></pre></section>
    <section aria-labelledby="change">
    <h2 id="change">What the held template changes</h2>
    <pre class="diff" tabindex="0" role="group" aria-label="Difference of the templates"><code><span class="taken">--- live
    </span><span class="added">+++ held
    </span><span class="place">@@ -3,5 +3,5 @@
    </span><span class="same">     app: app
    </span><span class="same"> spec:
    </span><span class="same">   containers:
    </span><span class="taken">-  - image: registry.example/shop/app:1.9.0
    </span><span class="added">+  - image: registry.example/shop/app:2.0.0
    </span><span class="same">     name: app
    </span></code></pre></section>
    <section aria-labelledby="history">
    <h2 id="history">History</h2><ol class="history">
    <li>
    <h3><span class="phase bad">Rejected</span> <time datetime="2026-11-23T12:00:30Z">12s ago</time></h3>
    <p>error rate 25% (40 of 160 requests) exceeds 1%</p><dl class="inline">
    <div><dt>Change</dt><dd>app:0 -&gt; 1</dd></div>
    <div><dt>Requests</dt><dd>160</dd></div>
    <div><dt>Failed</dt><dd>40</dd></div>
    <div><dt>Took</dt><dd>12s</dd></div>
    <div><dt>By</dt><dd>ann</dd></div>
    <div><dt>Error rate</dt><dd>25%</dd></div></dl>
    <div class="pictures">
    <figure>
    <svg viewBox="0 0 480 180" role="img" aria-label="Error rate over time: the canary's is 25% at last, the primary's 0.14%, the limit 1%">
    <line class="grid" x1="64" x2="464" y1="128.0" y2="128.0"/>
    <text x="56.0" y="132.0" text-anchor="end">0%</text>
    <line class="grid" x1="64" x2="464" y1="100.0" y2="100.0"/>
    <text x="56.0" y="104.0" text-anchor="end">10%</text>
    <line class="grid" x1="64" x2="464" y1="72.0" y2="72.0"/>
    <text x="56.0" y="76.0" text-anchor="end">20%</text>
    <line class="grid" x1="64" x2="464" y1="44.0" y2="44.0"/>
    <text x="56.0" y="48.0" text-anchor="end">30%</text>
    <line class="grid" x1="64" x2="464" y1="16.0" y2="16.0"/>
    <text x="56.0" y="20.0" text-anchor="end">40%</text>
    <text x="64.0" y="146.0" text-anchor="middle">0 s</text>
    <text x="264.0" y="146.0" text-anchor="middle">15 s</text>
    <text x="464.0" y="146.0" text-anchor="middle">30 s</text>
    <line class="threshold harm" x1="64" x2="464" y1="125.2" y2="125.2"/>
    <text class="harm" x="70.0" y="120.2">limit 1%</text>
    <polyline class="line primary" points="130.7,128.0 197.3,127.6"/>
    <circle class="dot primary" cx="130.7" cy="128.0" r="2.5"/>
    <circle class="dot primary" cx="197.3" cy="127.6" r="2.5"/>
    <polyline class="line canary" points="130.7,58.0 197.3,58.0"/>
    <circle class="dot canary" cx="130.7" cy="58.0" r="2.5"/>
    <circle class="dot canary" cx="197.3" cy="58.0" r="2.5"/>
    <text class="canary" x="64.0" y="172.0">● canary</text>
    <text class="primary" x="154.0" y="172.0">● primary</text>
    </svg><figcaption>Failed requests of both, from look to look, and the limit.</figcaption></figure>
    <figure>
    <svg viewBox="0 0 480 180" role="img" aria-label="Evidence over time: 180.0:1 against the canary at last, which is rejected at 100:1; 0.0:1 for it, which may be promoted at 20:1">
    <line class="grid" x1="64" x2="464" y1="128.0" y2="128.0"/>
    <text x="56.0" y="132.0" text-anchor="end">1 : 100</text>
    <line class="grid" x1="64" x2="464" y1="109.3" y2="109.3"/>
    <text x="56.0" y="113.3" text-anchor="end">1 : 10</text>
    <line class="grid" x1="64" x2="464" y1="90.7" y2="90.7"/>
    <text x="56.0" y="94.7" text-anchor="end">1 : 1</text>
    <line class="grid" x1="64" x2="464" y1="72.0" y2="72.0"/>
    <text x="56.0" y="76.0" text-anchor="end">10 : 1</text>
    <line class="grid" x1="64" x2="464" y1="53.3" y2="53.3"/>
    <text x="56.0" y="57.3" text-anchor="end">100 : 1</text>
    <line class="grid" x1="64" x2="464" y1="34.7" y2="34.7"/>
    <text x="56.0" y="38.7" text-anchor="end">1000 : 1</text>
    <line class="grid" x1="64" x2="464" y1="16.0" y2="16.0"/>
    <text x="56.0" y="20.0" text-anchor="end">10000 : 1</text>
    <text x="64.0" y="146.0" text-anchor="middle">0 s</text>
    <text x="264.0" y="146.0" text-anchor="middle">15 s</text>
    <text x="464.0" y="146.0" text-anchor="middle">30 s</text>
    <line class="threshold harm" x1="64" x2="464" y1="53.3" y2="53.3"/>
    <text class="harm" x="70.0" y="48.3">100 : 1 rejects</text>
    <polyline class="line harm" points="64.0,90.7 130.7,80.5 197.3,48.6"/>
    <circle class="dot harm" cx="64.0" cy="90.7" r="2.5"/>
    <circle class="dot harm" cx="130.7" cy="80.5" r="2.5"/>
    <circle class="dot harm" cx="197.3" cy="48.6" r="2.5"/>
    <polyline class="line safe" points="64.0,90.7 130.7,109.3 197.3,128.0"/>
    <circle class="dot safe" cx="64.0" cy="90.7" r="2.5"/>
    <circle class="dot safe" cx="130.7" cy="109.3" r="2.5"/>
    <circle class="dot safe" cx="197.3" cy="128.0" r="2.5"/>
    <line class="threshold safe" x1="64" x2="464" y1="66.4" y2="66.4"/>
    <text class="safe" x="70.0" y="61.4">20 : 1 may promote</text>
    <text class="harm" x="64.0" y="172.0">● worse than the primary</text>
    <text class="safe" x="234.0" y="172.0">● below the limit</text>
    </svg><figcaption>The evidence against the canary and for it; each decides at its line.</figcaption></figure></div>
    <details id="numbers-0"><summary id="summary-0">The numbers</summary>
    <div class="scroll" role="group" aria-label="Numbers" tabindex="0"><table><thead>
    <tr><th scope="col">Time</th><th scope="col">Canary</th><th scope="col">Failed</th><th scope="col">Primary</th><th scope="col">Failed</th><th scope="col">Against</th><th scope="col">For</th><th scope="col">Needed</th></tr></thead><tbody>
    <tr><th scope="row"><time datetime="2026-11-23T12:00:20Z">12:00:20 UTC</time></th><td>0</td><td>0</td><td>0</td><td>0</td><td>1.00:1</td><td>1.00:1</td><td>338</td></tr>
    <tr><th scope="row"><time datetime="2026-11-23T12:00:25Z">12:00:25 UTC</time></th><td>80</td><td>20</td><td>700</td><td>0</td><td>3.50:1</td><td>0.10:1</td><td>338</td></tr>
    <tr><th scope="row"><time datetime="2026-11-23T12:00:30Z">12:00:30 UTC</time></th><td>160</td><td>40</td><td>1,400</td><td>1</td><td>180:1</td><td>0.00:1</td><td>338</td></tr></tbody></table></div></details></li>
    <li>
    <h3><span class="phase good">Promoted</span> <time datetime="2026-11-22T12:00:30Z">24h ago</time></h3>
    <p>error rate 0%</p><dl class="inline">
    <div><dt>Change</dt><dd>no other image</dd></div>
    <div><dt>Requests</dt><dd>12,000</dd></div>
    <div><dt>Failed</dt><dd>0</dd></div>
    <div><dt>Took</dt><dd>1m3s</dd></div>
    <div><dt>By</dt><dd>ann</dd></div>
    <div><dt>Error rate</dt><dd>0%</dd></div></dl></li></ol></section>
    "#);
}
