//! The API server that the tests run against, and requests to it without a process in between: as the administrator, and as Coalmine's
//! own service account.

use std::{path::PathBuf, sync::OnceLock, time::Duration};

use kube::{Client, Config};
use serde_json::Value;
use tokio::runtime::Runtime;

use super::coalmine::Coalmine;

pub(crate) const CONTROLLER: &str = "system:serviceaccount:coalmine:coalmine";

/// Longer than the API server waits for a webhook.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// One per process.
pub(crate) struct ControlPlane {
    pub(crate) repository: PathBuf,
    pub(crate) kubectl: PathBuf,
    /// The version that the results are filed under.
    pub(crate) version: String,
    /// For caches, certificates, logs.
    pub(crate) directory: PathBuf,
    runtime: Runtime,
    admin: Client,
    controller: Client,
}

/// The control plane that `cargo xtask test` has started, with Coalmine running against it.
pub(crate) fn control_plane() -> &'static ControlPlane {
    static COALMINE: OnceLock<Coalmine> = OnceLock::new();
    let control_plane = api_server();
    COALMINE.get_or_init(|| Coalmine::start(control_plane, "zz-coalmine"));
    control_plane
}

/// The same as it was found: on a whole cluster Coalmine is installed already.
pub(crate) fn api_server() -> &'static ControlPlane {
    static CONTROL_PLANE: OnceLock<ControlPlane> = OnceLock::new();
    CONTROL_PLANE.get_or_init(ControlPlane::connect)
}

/// What `cargo xtask test` tells the tests.
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run this by `cargo xtask test`"))
}

/// A request was refused.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) code: u16,
    pub(crate) message: String,
}

/// A request has no good answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    Refused(Refused),
    /// It may have been carried out or not.
    Nobody(String),
}

impl std::fmt::Display for Unanswered {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(refused) => write!(formatter, "{} {}", refused.code, refused.message),
            Self::Nobody(why) => formatter.write_str(why),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum As {
    Administrator,
    /// The service account whose promotions count.
    Controller,
}

impl ControlPlane {
    fn connect() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = Runtime::new().expect("a runtime");
        let directory = std::env::temp_dir().join(format!("coalmine-hold-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory for the run");
        let (admin, controller) = runtime.block_on(async {
            let mut config = Config::infer().await.expect("KUBECONFIG names a control plane");
            config.default_retry = false;
            let admin = Client::try_from(config.clone()).expect("a client");
            config.auth_info.impersonate = Some(CONTROLLER.to_owned());
            (admin, Client::try_from(config).expect("a client"))
        });
        Self {
            repository: PathBuf::from(variable("COALMINE_REPOSITORY")),
            kubectl: PathBuf::from(variable("COALMINE_KUBECTL")),
            version: variable("COALMINE_KUBERNETES"),
            directory,
            runtime,
            admin,
            controller,
        }
    }

    /// Any request; the body is JSON unless the content type says otherwise.
    pub(crate) fn send(&self, who: As, method: &str, path: &str, content_type: &str, body: &Value) -> Result<Value, Refused> {
        answered(self.runtime.block_on(self.client_of(who).request::<Value>(http_request(method, path, content_type, body))))
    }

    /// As the administrator, by a program that names itself and no field manager.
    pub(crate) fn send_by(&self, program: &str, method: &str, path: &str, content_type: &str, body: &Value) -> Result<Value, Refused> {
        let mut request = http_request(method, path, content_type, body);
        request.headers_mut().insert("User-Agent", program.parse().expect("a name"));
        answered(self.runtime.block_on(self.admin.request::<Value>(request)))
    }

    /// The same as the administrator, where nobody may be there to answer.
    pub(crate) fn attempt(&self, method: &str, path: &str, content_type: &str, body: &Value) -> Result<Value, Unanswered> {
        let request = self.admin.request::<Value>(http_request(method, path, content_type, body));
        match self.runtime.block_on(async { tokio::time::timeout(ANSWER_WITHIN, request).await }) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(kube::Error::Api(status))) => Err(Unanswered::Refused(Refused { code: status.code, message: status.message.clone() })),
            Ok(Err(error)) => Err(Unanswered::Nobody(error.to_string())),
            Err(_) => Err(Unanswered::Nobody(format!("no answer within {} s", ANSWER_WITHIN.as_secs()))),
        }
    }

    pub(crate) fn client(&self) -> &Client {
        self.client_of(As::Administrator)
    }

    pub(crate) fn client_of(&self, who: As) -> &Client {
        match who {
            As::Administrator => &self.admin,
            As::Controller => &self.controller,
        }
    }

    /// Something that goes on beside the tests.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }

    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        self.find(path).unwrap_or_else(|| panic!("{path} does not exist"))
    }

    #[track_caller]
    pub(crate) fn find(&self, path: &str) -> Option<Value> {
        match self.send(As::Administrator, "GET", path, "", &Value::Null) {
            Ok(found) => Some(found),
            Err(refused) if refused.code == 404 => None,
            Err(refused) => panic!("GET {path}: {refused:?}"),
        }
    }

    pub(crate) fn post(&self, path: &str, object: &Value) -> Result<Value, Refused> {
        self.send(As::Administrator, "POST", path, "application/json", object)
    }

    /// Creates an object, or makes an existing one equal to it.
    #[track_caller]
    pub(crate) fn apply(&self, path: &str, object: &Value) -> Value {
        let path = format!("{path}?fieldManager=tests&force=true");
        self.send(As::Administrator, "PATCH", &path, "application/apply-patch+yaml", object)
            .unwrap_or_else(|refused| panic!("{path}: {refused:?}"))
    }
}

fn answered(result: kube::Result<Value>) -> Result<Value, Refused> {
    result.map_err(|error| match error {
        kube::Error::Api(status) => Refused { code: status.code, message: status.message.clone() },
        other => panic!("{other:?}"),
    })
}

fn http_request(method: &str, path: &str, content_type: &str, body: &Value) -> axum::http::Request<Vec<u8>> {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let mut request = axum::http::Request::builder().method(method).uri(path);
    if !content_type.is_empty() {
        request = request.header("Content-Type", content_type);
    }
    request.body(body).expect("a request")
}
