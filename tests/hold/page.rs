//! The page against a real API server: what each may see, that news comes by itself, and that nothing which a hostile client sends does more.

use std::{io::Read as _, net::TcpStream, sync::OnceLock};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use coalmine_core::{api::annotations::Phase, page::POLICY};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    coalmine::authority,
    control_plane::control_plane,
    eventually,
    kubectl::Apply::ClientSide,
    namespace::Namespace,
    page::{Answer, PageServer, await_words},
};

/// Everybody who reaches it sees everything.
fn open() -> &'static PageServer {
    static SERVER: OnceLock<PageServer> = OnceLock::new();
    SERVER.get_or_init(|| PageServer::start(control_plane(), "page-open", &["--page-host=coalmine.example"]))
}

/// Who shows a token sees what its owner may.
fn by_token() -> &'static PageServer {
    static SERVER: OnceLock<PageServer> = OnceLock::new();
    SERVER.get_or_init(|| PageServer::start(control_plane(), "page-token", &["--page-access=token"]))
}

fn list_of(server: &PageServer, namespace: &Namespace, headers: &[&str]) -> Answer {
    server.get(&format!("/?namespace={}", namespace.name), headers)
}

/// A service account in the namespace, which may get Deployments there; and the header that says so.
fn viewer(namespace: &Namespace) -> String {
    let all = [
        vec!["create", "serviceaccount", "viewer"],
        vec!["create", "role", "viewer", "--verb=get", "--resource=deployments.apps"],
        vec!["create", "rolebinding", "viewer", "--role=viewer"],
    ];
    let account = format!("--serviceaccount={}:viewer", namespace.name);
    for (index, mut arguments) in all.into_iter().enumerate() {
        if index == 2 {
            arguments.push(&account);
        }
        namespace.kubectl.run(&arguments).succeeded();
    }
    let token = namespace.kubectl.run(&["create", "token", "viewer"]).succeeded().stdout;
    format!("Authorization: Bearer {}", token.trim())
}

/// The same token with its times moved by so many seconds, signed with the API server's own key.
fn at_another_time(header: &str, seconds: i64) -> String {
    let (name, token) = header.rsplit_once(' ').expect("a token");
    let [head, claims, _] = token.split('.').collect::<Vec<_>>().try_into().expect("a JSON Web Token");
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).expect("base64")).expect("JSON");
    for time in ["iat", "nbf", "exp"] {
        claims[time] = json!(claims[time].as_i64().expect("seconds") + seconds);
    }
    let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let pem = std::fs::read_to_string(authority().with_file_name("service-accounts.key")).expect("a key");
    let key = STANDARD.decode(pem.lines().filter(|line| !line.starts_with('-')).collect::<String>()).expect("base64");
    let random = SystemRandom::new();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key, &random).expect("a key");
    let signature = key.sign(&random, signed.as_bytes()).expect("a signature");
    format!("{name} {signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
#[ignore = "needs a control plane"]
fn what_is_held_is_shown_in_the_words_of_the_plugin_with_strict_headers() {
    let namespace = Namespace::with_b_held(ClientSide);
    let row = format!(r#"href="{}/app""#, namespace.name);
    let list = eventually("the list to have it", || {
        let list = list_of(open(), &namespace, &[]);
        if list.body.contains(&row) { Ok(list) } else { Err(format!("{list:?}")) }
    });
    let policy = format!("content-security-policy: {POLICY}");
    for header in [policy.as_str(), "x-content-type-options: nosniff", "referrer-policy: no-referrer", "cache-control: no-store"] {
        assert!(list.head.contains(header), "{header}: {}", list.head);
    }
    assert!(list.body.contains("app:a -&gt; b"), "{}", list.body);
    let detail = open().get(&format!("/{}/app", namespace.name), &[]);
    assert_eq!(detail.status, 200, "{detail:?}");
    assert!(detail.body.contains("<dd>not Ready yet; judged for 60s, given up after 10m</dd>"), "{}", detail.body);
    assert!(detail.body.contains(r#"<span class="added">+      value: B"#), "{}", detail.body);
    assert_eq!(open().get(&format!("/{}/nope", namespace.name), &[]).status, 404);
    for (path, kind) in [("/page.css", "text/css"), ("/page.js", "text/javascript"), ("/icon.svg", "image/svg+xml")] {
        let file = open().get(path, &[]);
        assert!(file.status == 200 && file.head.contains(&format!("content-type: {kind}")) && file.head.contains(&policy), "{file:?}");
    }
}

#[test]
#[ignore = "needs a control plane"]
fn a_verdict_is_told_to_whoever_waits_for_it() {
    let namespace = Namespace::with_b_held(ClientSide);
    let paths = [format!("/{}/app/events", namespace.name), format!("/events?namespace={}", namespace.name), "/events".to_owned()];
    let listening = paths.map(|path| open().listen(&path, &[]));
    eventually("the list to be whole", || if list_of(open(), &namespace, &[]).status == 200 { Ok(()) } else { Err(String::new()) });
    namespace.judge(Phase::Running, "");
    namespace.judge(Phase::Rejected, "error rate 100% <b>; template kept out");
    for (status, mut connection) in listening {
        assert_eq!(status, 200);
        await_words(&mut connection, "event: changed");
    }
    let words = "Rejected: error rate 100% &lt;b&gt;; template kept out";
    eventually("the page to say so", || {
        let detail = open().get(&format!("/{}/app", namespace.name), &[]);
        if detail.body.contains(words) { Ok(()) } else { Err(detail.body) }
    });
}

#[test]
#[ignore = "needs a control plane"]
fn programs_get_the_shape_of_the_plugin() {
    let namespace = Namespace::with_b_held(ClientSide);
    let path = format!("/api/v1/canaries?namespace={}", namespace.name);
    let list = eventually("the list to have it", || {
        let list = open().get(&path, &[]);
        let body: Value = serde_json::from_str(&list.body).map_err(|error| format!("{error}: {list:?}"))?;
        if body["items"][0].is_object() { Ok(body) } else { Err(body.to_string()) }
    });
    assert_eq!((&list["kind"], &list["metadata"]["continue"]), (&json!("List"), &json!("")));
    let one: Value = serde_json::from_str(&open().get(&format!("/api/v1/canaries/{}/app", namespace.name), &[]).body).unwrap();
    assert_eq!((&one["apiVersion"], &one["kind"], &one["phase"]), (&json!("coalmine.dev/v1"), &json!("Canary"), &json!("Held")));
    assert_eq!((&list["items"][0]["held"], &list["items"][0]["live"]), (&one["held"], &one["live"]));
    let missing = open().get(&format!("/api/v1/canaries/{}/nope", namespace.name), &[]);
    assert_eq!(missing.status, 404);
    assert!(open().get(&format!("{path}&phase=Promoted"), &[]).body.contains("\"items\":[]"));
    let refused: Value = serde_json::from_str(&open().get("/api/v1/canaries?limit=0", &[]).body).unwrap();
    assert_eq!(refused["message"], "limit: \"0\" is not a number from 1 to 100");
}

#[test]
#[ignore = "needs a control plane"]
fn a_token_shows_exactly_what_its_owner_may_get() {
    let (own, other) = (Namespace::with_b_held(ClientSide), Namespace::with_b_held(ClientSide));
    let token = viewer(&own);
    let (own_row, other_row) = (format!(r#"href="{}/app""#, own.name), format!(r#"href="{}/app""#, other.name));
    eventually("its own namespace to be shown", || {
        let list = by_token().get("/", &[&token]);
        if list.body.contains(&own_row) { Ok(()) } else { Err(format!("{list:?}")) }
    });
    let everything = by_token().get("/", &[&token]);
    assert!(!everything.body.contains(&other.name), "{}", everything.body);
    assert!(!everything.body.contains(&other_row) && everything.body.contains("1 is on trial."), "{}", everything.body);
    assert_eq!(by_token().get(&format!("/{}/app", own.name), &[&token]).status, 200);
    assert_eq!(by_token().listen(&format!("/{}/app/events", own.name), &[&token]).0, 200);
    let json: Value = serde_json::from_str(&by_token().get("/api/v1/canaries", &[&token]).body).unwrap();
    assert_eq!(json["items"].as_array().map(Vec::len), Some(1), "{json}");
    for path in [
        format!("/{}/app", other.name),
        format!("/{}/nope", other.name),
        format!("/?namespace={}", other.name),
        format!("/{}/app/events", other.name),
        format!("/events?namespace={}", other.name),
        format!("/api/v1/canaries/{}/app", other.name),
        format!("/api/v1/canaries/{}/nope", other.name),
        format!("/api/v1/canaries?namespace={}", other.name),
        "/no-such-namespace/app".to_owned(),
    ] {
        let answer = by_token().get(&path, &[&token]);
        assert_eq!(answer.status, 403, "{path}: {answer:?}");
        assert!(!answer.body.contains("registry.example"), "{path}: {answer:?}");
    }
}

#[test]
#[ignore = "needs a control plane"]
fn without_a_token_and_with_one_that_is_no_longer_good_nothing_is_shown() {
    let namespace = Namespace::with_b_held(ClientSide);
    let paths = [
        "/".to_owned(),
        "/events".to_owned(),
        format!("/{}/app", namespace.name),
        format!("/{}/app/events", namespace.name),
        "/api/v1/canaries".to_owned(),
        format!("/api/v1/canaries/{}/app", namespace.name),
    ];
    for headers in [&[][..], &["Authorization: Bearer nonsense"], &["Authorization: Basic YTpub25zZW5zZQ=="], &["Authorization: Bearer"]] {
        for path in &paths {
            let answer = by_token().get(path, headers);
            assert_eq!(answer.status, 401, "{path} {headers:?}: {answer:?}");
            assert!(answer.head.contains("www-authenticate: ") && !answer.body.contains(&namespace.name), "{answer:?}");
        }
    }
    let token = viewer(&namespace);
    let detail = format!("/{}/app", namespace.name);
    assert_eq!(by_token().get(&detail, &[&token]).status, 200);
    let expired = at_another_time(&token, -7200);
    assert_eq!(by_token().get(&detail, &[&expired]).status, 401, "two hours ago it was good");
    assert_eq!(by_token().get(&detail, &[&at_another_time(&token, -1)]).status, 200, "what was signed here is believed");
    let (_, mut stream) = by_token().listen(&format!("{detail}/events"), &[&token]);
    namespace.kubectl.run(&["delete", "serviceaccount", "viewer"]).succeeded();
    eventually("the token to be good no longer", || match by_token().get(&detail, &[&token]).status {
        401 => Ok(()),
        other => Err(other.to_string()),
    });
    // A stream that was opened before ends within a minute: the next one needs a token that is good.
    stream.set_read_timeout(Some(std::time::Duration::from_secs(75))).unwrap();
    stream.read_to_string(&mut String::new()).unwrap();
}

#[rstest]
#[case::rebound_name("Host: evil.example", 421)]
#[case::rebound_name_with_our_port("Host: evil.example:8082", 421)]
#[case::looks_like_an_address("Host: 127.0.0.1.evil.example", 421)]
#[case::two_hosts("Host: localhost\r\nHost: evil.example", 400)]
#[case::no_host("X: y", 421)]
#[case::a_name_that_was_given("Host: coalmine.example", 200)]
#[case::an_address("Host: 10.1.2.3:8082", 200)]
#[case::embedded("Host: localhost\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors", 403)]
#[ignore = "needs a control plane"]
fn only_names_that_are_ours_are_answered(#[case] headers: &str, #[case] status: u16) {
    let answer = open().send(&format!("GET / HTTP/1.1\r\nConnection: close\r\n{headers}\r\n\r\n"));
    assert!(answer.status == status || (status >= 400 && answer.status == 421), "{answer:?}");
}

#[test]
#[ignore = "needs a control plane"]
fn paths_lead_nowhere_else_and_nothing_but_get_is_answered() {
    let namespace = Namespace::with_b_held(ClientSide);
    for path in [
        "/../../etc/passwd",
        "/..%2f..%2f/secrets",
        "/%2e%2e/%2e%2e",
        "/kube-system%2fsecrets/x",
        "/default/..%2f..%2f..%2fapi%2fv1%2fsecrets",
        "/default/app%3fwatch=true",
        "/default/app%00",
        "/default/app%0d%0aX-Injected:%20yes",
        "/api/v1/canaries/..%2f..%2f/x",
        "/api/v1/secrets",
        "/%ff/%ff",
        "//default/app",
        "/page.css/../../x",
        "/?namespace=..%2f..",
    ] {
        let answer = open().get(path, &[]);
        assert!([400, 404].contains(&answer.status), "{path}: {answer:?}");
        assert!(!answer.head.contains("x-injected") && answer.body.len() < 2000, "{path}: {answer:?}");
    }
    let before = namespace.app();
    for method in ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT"] {
        let path = format!("/{}/app", namespace.name);
        let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}");
        let answer = open().send(&request);
        assert!([400, 405].contains(&answer.status), "{method}: {answer:?}");
    }
    assert_eq!(namespace.app()["metadata"]["annotations"], before["metadata"]["annotations"]);
}

#[test]
#[ignore = "needs a control plane"]
fn floods_of_headers_and_streams_take_a_bounded_room_and_leave_the_page_there() {
    let server = PageServer::start(control_plane(), "page-flood", &[]);
    let memory = || resident(&server);
    assert_eq!(server.get("/", &[]).status, 200);
    let before = memory();
    let many: Vec<String> = (0..5000).map(|number| format!("X-{number}: {number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!([0, 400, 431].contains(&server.get("/", &many).status));
    let long = format!("X: {}", "a".repeat(4 << 20));
    assert!([0, 400, 431].contains(&server.get("/", &[&long]).status));
    assert!([0, 400, 414, 431].contains(&server.get(&format!("/?{}", "a=b&".repeat(1 << 20)), &[]).status));
    let streams: Vec<(u16, TcpStream)> = (0..100).map(|_| server.listen("/events", &[])).collect();
    let taken = streams.iter().filter(|(status, _)| *status == 200).count();
    let refused = streams.iter().filter(|(status, _)| *status == 503).count();
    assert_eq!((taken, refused), (48, 52));
    let silent: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(("127.0.0.1", server.port)).unwrap()).collect();
    assert_eq!(server.get("/", &[]).status, 200, "the page is there for others");
    drop((streams, silent));
    eventually("streams to be free again", || match server.listen("/events", &[]).0 {
        200 => Ok(()),
        other => Err(other.to_string()),
    });
    let after = memory();
    assert!(after < before + (16 << 10), "from {before} KiB to {after} KiB");
}

/// Of the program, in KiB.
fn resident(server: &PageServer) -> u64 {
    server.resident().unwrap_or_else(|error| panic!("failed to read the memory: {error}"))
}
