//! Whole runs: what is asked, and what comes of it.

use super::world::{BROKEN, GOOD, NONE};
use super::*;
use crate::judging::verdict::event;

fn story(subject: Subject, mut world: World) -> String {
    let mut judge = Judge::new(subject);
    world.until(&mut judge, 700);
    let news: Vec<String> = judge.news().iter().filter_map(|news| Some(event(news)?.note)).collect();
    format!("{}\n{}", world.story.join("\n"), news.join("\n"))
}

fn short() -> Subject {
    let mut subject = subject();
    subject.policy.duration = Duration::from_secs(20);
    subject
}

#[test]
fn rejected() {
    insta::assert_snapshot!(story(short(), World { traffic: BROKEN, ..World::default() }), @r"
0s ask pods
0s ask present
0s ask history
0s ask samples #0
0s wait 1s
1s ask samples #0
1s wait 1s
2s ask samples #0
2s wait 1s
3s ask samples #0
3s wait 1s
4s ask samples #0
4s wait 1s
5s ask samples #0
5s wait 5s
10s ask samples #0
10s Reject: error rate 100% (900 of 900 requests) exceeds 1% after 10s; primary 0%
reading http_requests_total by code; to fix this choice: canary.metrics: http
");
}

#[test]
fn rejected_by_the_pages() {
    let subject = Subject { reads_pages: true, ..short() };
    insta::assert_snapshot!(story(subject, World { traffic: BROKEN, ..World::default() }), @r"
0s ask pods
0s ask present
0s ask history
0s ask samples #0
0s ask places of 3
0s ask pages of 4 at :8080/metrics
0s wait 1s
1s ask samples #0
1s ask pages of 4 at :8080/metrics
1s wait 1s
2s ask samples #0
2s ask pages of 4 at :8080/metrics
2s wait 1s
3s ask samples #0
3s ask pages of 4 at :8080/metrics
3s wait 1s
4s ask samples #0
4s ask pages of 4 at :8080/metrics
4s wait 1s
5s ask samples #0
5s ask pages of 4 at :8080/metrics
5s Reject: error rate 100% (450 of 450 requests) exceeds 1% after 5s; primary 0%; counted on the pods' own pages
reading http_requests_total by code; to fix this choice: canary.metrics: http
");
}

#[test]
fn promoted() {
    let mut subject = short();
    subject.policy.checks = Some(List::ConfigMap("more".to_owned()));
    insta::assert_snapshot!(story(subject, World { traffic: GOOD, ..World::default() }), @r"
0s ask pods
0s ask present
0s ask history
0s ask samples #0
0s ask configmap more
0s ask checks smoke
0s wait 1s
1s ask samples #0
1s ask configmap more
1s ask checks smoke
1s wait 1s
2s ask samples #0
2s ask configmap more
2s ask checks smoke
2s wait 1s
3s ask samples #0
3s ask configmap more
3s ask checks smoke
3s wait 1s
4s ask samples #0
4s ask configmap more
4s ask checks smoke
4s wait 1s
5s ask samples #0
5s ask configmap more
5s ask checks smoke
5s wait 5s
10s ask samples #0
10s ask configmap more
10s ask checks smoke
10s wait 5s
15s ask pods
15s ask samples #0
15s ask configmap more
15s ask checks smoke
15s wait 5s
20s ask samples #0
20s ask configmap more
20s ask checks smoke
20s Promote: error rate 0% (0 of 1,800 requests, at most 0.19%; limit 1%); primary 0%; check smoke: Job app-canary-smoke succeeded
reading http_requests_total by code; to fix this choice: canary.metrics: http
");
}

#[test]
fn inconclusive() {
    let mut subject = short();
    subject.policy.deadline = Duration::from_secs(60);
    insta::assert_snapshot!(story(subject, World { traffic: NONE, ..World::default() }), @r"
0s ask pods
0s ask present
0s ask history
0s ask samples #0
0s wait 1s
1s ask samples #0
1s wait 1s
2s ask samples #0
2s wait 1s
3s ask samples #0
3s wait 1s
4s ask samples #0
4s wait 1s
5s ask samples #0
5s wait 5s
10s ask samples #0
10s wait 5s
15s ask pods
15s ask samples #0
15s wait 5s
20s ask samples #0
20s wait 5s: the canary got no requests, so nothing can be said about it
25s ask samples #0
25s wait 5s: the canary got no requests, so nothing can be said about it
30s ask pods
30s ask samples #0
30s wait 5s: the canary got no requests, so nothing can be said about it
35s ask samples #0
35s wait 5s: the canary got no requests, so nothing can be said about it
40s ask samples #0
40s Inconclusive { clean: true }: the canary got no requests, so nothing can be said about it
reading http_requests_total by code; to fix this choice: canary.metrics: http
");
}
