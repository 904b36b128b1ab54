//! Who may see what: the cluster is asked whose token it is, and whether that user may get Deployments in a namespace. Answers are kept for ten
//! seconds. Where nobody can be asked, nothing is shown.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, header};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures::{StreamExt as _, stream};
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec, UserInfo},
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
};
use kube::{Api, Client, api::PostParams};
use ring::digest;
use tokio::sync::Semaphore;

use super::arguments::PageAccess;
use coalmine_core::manifest::workload;

const KEPT_FOR: Duration = Duration::from_secs(10);
/// Answers kept of each kind.
const MOST: usize = 4096;
/// For one question.
const PATIENCE: Duration = Duration::from_secs(5);
/// Questions to the API server at the same time, of all who look.
const AT_ONCE: usize = 8;
/// A token is no longer than a header of the API server's own may be.
const LONGEST_TOKEN: usize = 16 << 10;

/// Why nothing is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Denied {
    /// No token, or one that the cluster doesn't know any more.
    Unknown,
    /// This user may not see that.
    Forbidden(String),
    /// The cluster could not be asked.
    Unanswered,
}

pub(super) enum Access {
    Everybody,
    Token(Box<Reviewer>),
}

/// Somebody who looks at the page.
pub(super) enum Viewer {
    Everybody,
    User(Arc<User>),
}

pub(super) struct User {
    token: Digest,
    information: UserInfo,
}

type Digest = [u8; 32];

pub(super) struct Reviewer {
    client: Client,
    places: Semaphore,
    users: Kept<Digest, Option<Arc<User>>>,
    /// By token and namespace; the empty one stands for all.
    rights: Kept<(Digest, String), bool>,
}

impl Access {
    pub(super) fn new(access: PageAccess, client: Client) -> Self {
        match access {
            PageAccess::None => Self::Everybody,
            PageAccess::Token => {
                let (users, rights) = (Kept::default(), Kept::default());
                Self::Token(Box::new(Reviewer { client, places: Semaphore::new(AT_ONCE), users, rights }))
            }
        }
    }

    pub(super) async fn viewer(&self, headers: &HeaderMap) -> Result<Viewer, Denied> {
        match self {
            Self::Everybody => Ok(Viewer::Everybody),
            Self::Token(reviewer) => {
                let token = token(headers).ok_or(Denied::Unknown)?;
                reviewer.user(&token).await.map(Viewer::User)
            }
        }
    }

    /// Whether the viewer may get Deployments of this namespace.
    pub(super) async fn may_see(&self, viewer: &Viewer, namespace: &str) -> Result<bool, Denied> {
        match (self, viewer) {
            (Self::Token(reviewer), Viewer::User(user)) => {
                Ok(reviewer.may_get(user, "").await? || reviewer.may_get(user, namespace).await?)
            }
            (Self::Everybody, _) => Ok(true),
            (Self::Token(_), Viewer::Everybody) => Ok(false),
        }
    }

    pub(super) async fn must_see(&self, viewer: &Viewer, namespace: &str) -> Result<(), Denied> {
        if self.may_see(viewer, namespace).await? {
            return Ok(());
        }
        Err(Denied::Forbidden(format!("to get deployments in namespace {namespace} is not allowed")))
    }

    /// Those that the viewer may see; `None` for all.
    pub(super) async fn visible(&self, viewer: &Viewer, namespaces: Vec<String>) -> Result<Option<Vec<String>>, Denied> {
        let (Self::Token(reviewer), Viewer::User(user)) = (self, viewer) else { return Ok(None) };
        if reviewer.may_get(user, "").await? {
            return Ok(None);
        }
        let asked = namespaces
            .into_iter()
            .map(|namespace| async move { reviewer.may_get(user, &namespace).await.map(|may| may.then_some(namespace)) });
        let answers: Vec<Result<Option<String>, Denied>> = stream::iter(asked).buffer_unordered(AT_ONCE).collect().await;
        answers.into_iter().filter_map(Result::transpose).collect::<Result<_, _>>().map(Some)
    }
}

impl Reviewer {
    async fn user(&self, token: &str) -> Result<Arc<User>, Denied> {
        let mut key = Digest::default();
        key.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        if let Some(known) = self.users.get(&key) {
            return known.ok_or(Denied::Unknown);
        }
        let spec = TokenReviewSpec { token: Some(token.to_owned()), ..TokenReviewSpec::default() };
        let review = TokenReview { spec, ..TokenReview::default() };
        let api = Api::<TokenReview>::all(self.client.clone());
        let status = self.asked(api.create(&PostParams::default(), &review)).await?.status.unwrap_or_default();
        let information = status.user.filter(|user| status.authenticated == Some(true) && user.username.is_some());
        let user = information.map(|information| Arc::new(User { token: key, information }));
        self.users.keep(key, user.clone());
        user.ok_or(Denied::Unknown)
    }

    async fn may_get(&self, user: &User, namespace: &str) -> Result<bool, Denied> {
        let key = (user.token, namespace.to_owned());
        if let Some(known) = self.rights.get(&key) {
            return Ok(known);
        }
        let attributes = ResourceAttributes {
            group: Some("apps".to_owned()),
            resource: Some(workload::PLURAL.to_owned()),
            verb: Some("get".to_owned()),
            namespace: Some(namespace.to_owned()),
            ..ResourceAttributes::default()
        };
        let information = user.information.clone();
        let spec = SubjectAccessReviewSpec {
            extra: information.extra,
            groups: information.groups,
            resource_attributes: Some(attributes),
            uid: information.uid,
            user: information.username,
            ..SubjectAccessReviewSpec::default()
        };
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let api = Api::<SubjectAccessReview>::all(self.client.clone());
        let allowed = self.asked(api.create(&PostParams::default(), &review)).await?.status.is_some_and(|status| status.allowed);
        self.rights.keep(key, allowed);
        Ok(allowed)
    }

    async fn asked<T>(&self, question: impl Future<Output = kube::Result<T>>) -> Result<T, Denied> {
        let asked = async {
            let _place = self.places.acquire().await;
            question.await
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the cluster could not be asked who may see the page");
                Err(Denied::Unanswered)
            }
            Err(_) => Err(Denied::Unanswered),
        }
    }
}

/// As a bearer token, or as the password of any user, which browsers ask for by themselves.
fn token(headers: &HeaderMap) -> Option<String> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (all.next(), all.next()) else { return None };
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    let token = match scheme.to_ascii_lowercase().as_str() {
        "bearer" => rest.trim().to_owned(),
        "basic" => String::from_utf8(BASE64_STANDARD.decode(rest.trim()).ok()?).ok()?.split_once(':')?.1.to_owned(),
        _ => return None,
    };
    (!token.is_empty() && token.len() <= LONGEST_TOKEN).then_some(token)
}

/// Answers that are good for some seconds; few enough, whoever asks.
struct Kept<K, V>(Mutex<HashMap<K, (Instant, V)>>);

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq, V: Clone> Kept<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(key).filter(|(at, _)| at.elapsed() < KEPT_FOR).map(|(_, value)| value.clone())
    }

    fn keep(&self, key: K, value: V) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.retain(|_, (at, _)| at.elapsed() < KEPT_FOR);
        }
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(key, (Instant::now(), value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_as_a_bearer_or_as_a_password() {
        let given = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, value.parse().unwrap());
            }
            token(&headers)
        };
        assert_eq!(given(&["Bearer abc"]).as_deref(), Some("abc"));
        assert_eq!(given(&["basic YW5uOmE6Yg=="]).as_deref(), Some("a:b"));
        for values in [&[][..], &["abc"], &["Bearer "], &["Digest abc"], &["Basic !"], &["Basic YW5u"], &["Bearer a", "Bearer b"]] {
            assert_eq!(given(values), None, "{values:?}");
        }
        assert_eq!(given(&[&format!("Bearer {}", "a".repeat(LONGEST_TOKEN + 1))]), None);
    }

    #[test]
    fn whoever_asks_with_ever_new_tokens_takes_no_more_room() {
        let kept = Kept::default();
        for number in 0..3 * MOST {
            kept.keep(number, ());
        }
        assert!(kept.0.lock().unwrap().len() <= MOST);
        assert_eq!((kept.get(&0), kept.get(&(3 * MOST - 1))), (None, Some(())));
    }
}
