//! For unit tests only: an API server in memory that keeps objects and their resource versions, behind a real client.
//!
//! It knows create, read, replace with the version checked, and JSON patch; anything else is a failed test.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

#[derive(Clone, Debug, Default)]
pub(crate) struct ApiServer(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// By plural and name.
    objects: BTreeMap<(String, String), Value>,
    version: u64,
    conflicts: usize,
    /// Stored by somebody else right before the next write arrives.
    interposed: Option<(String, String, Value)>,
    writes: usize,
}

impl ApiServer {
    pub(crate) fn client(&self) -> kube::Client {
        kube::Client::new(self.clone().service(), "coalmine")
    }

    pub(crate) fn service(
        self,
    ) -> impl tower::Service<Request<kube::client::Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static
    {
        tower::service_fn(move |request: Request<kube::client::Body>| {
            let server = self.clone();
            async move {
                let (parts, body) = request.into_parts();
                let bytes = to_bytes(Body::new(body), usize::MAX).await.expect("a request body");
                Ok(server.answer(&parts.method, parts.uri.path(), &bytes))
            }
        })
    }

    pub(crate) fn stored<K: DeserializeOwned>(&self, plural: &str, name: &str) -> Option<K> {
        let value = self.state().objects.get(&(plural.to_owned(), name.to_owned())).cloned()?;
        Some(serde_json::from_value(value).expect("an object of that kind"))
    }

    pub(crate) fn store(&self, plural: &str, name: &str, object: Value) {
        self.state().put(plural, name, object);
    }

    pub(crate) fn remove(&self, plural: &str, name: &str) {
        self.state().objects.remove(&(plural.to_owned(), name.to_owned()));
    }

    pub(crate) fn writes(&self) -> usize {
        self.state().writes
    }

    pub(crate) fn fail_next_write_with_conflict(&self) {
        self.state().conflicts += 1;
    }

    pub(crate) fn store_on_next_write(&self, plural: &str, name: &str, object: Value) {
        self.state().interposed = Some((plural.to_owned(), name.to_owned(), object));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics while holding it")
    }

    fn answer(&self, method: &Method, path: &str, body: &[u8]) -> Response<Body> {
        let mut state = self.state();
        if *method != Method::GET {
            if state.conflicts > 0 {
                state.conflicts -= 1;
                return status(StatusCode::CONFLICT, "Conflict");
            }
            if let Some((plural, name, object)) = state.interposed.take() {
                state.put(&plural, &name, object);
            }
            state.writes += 1;
        }
        let last = path.rsplit('/').next().unwrap_or_default().to_owned();
        if *method == Method::POST {
            let object: Value = serde_json::from_slice(body).expect("a JSON object");
            let name = object["metadata"]["name"].as_str().expect("a name").to_owned();
            if state.objects.contains_key(&(last.clone(), name.clone())) {
                return status(StatusCode::CONFLICT, "AlreadyExists");
            }
            return answer(&state.put(&last, &name, object));
        }
        let plural = path.rsplit('/').nth(1).unwrap_or_default().to_owned();
        let Some(stored) = state.objects.get(&(plural.clone(), last.clone())).cloned() else {
            return status(StatusCode::NOT_FOUND, "NotFound");
        };
        match *method {
            Method::GET => answer(&stored),
            Method::PUT => {
                let object: Value = serde_json::from_slice(body).expect("a JSON object");
                let version = &object["metadata"]["resourceVersion"];
                if !version.is_null() && *version != stored["metadata"]["resourceVersion"] {
                    return status(StatusCode::CONFLICT, "Conflict");
                }
                answer(&state.put(&plural, &last, object))
            }
            Method::PATCH => {
                let patch: json_patch::Patch = serde_json::from_slice(body).expect("a JSON patch");
                let mut object = stored;
                match json_patch::patch(&mut object, &patch) {
                    Ok(()) => answer(&state.put(&plural, &last, object)),
                    Err(_) => status(StatusCode::UNPROCESSABLE_ENTITY, "Invalid"),
                }
            }
            _ => panic!("unexpected request: {method} {path}"),
        }
    }
}

impl State {
    fn put(&mut self, plural: &str, name: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert((plural.to_owned(), name.to_owned()), object.clone());
        object
    }
}

fn answer(object: &Value) -> Response<Body> {
    Response::new(Body::from(object.to_string()))
}

fn status(code: StatusCode, reason: &str) -> Response<Body> {
    let status =
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": reason, "code": code.as_u16()});
    let mut response = answer(&status);
    *response.status_mut() = code;
    response
}
