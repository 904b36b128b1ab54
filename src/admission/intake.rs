//! How a review comes in: bounded in size before it is read, in time while it comes, in memory before it is parsed, and all of them together
//! by budgets. What is refused here is refused in words where the answer can carry them.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{review, weight::weight};
use coalmine_core::message::denied;

/// The largest review that is read, in bytes. An object of more than 1.5 MiB can't be stored (etcd's `--max-request-bytes`, which counts the
/// shorter binary form), and a review carries two; what is held must fit into 256 KiB of annotations besides.
const LARGEST: usize = 4 << 20;
/// What is larger is read to its end and thrown away, so that the answer is read by who sends it; the API server itself takes 3 MiB of an object.
const LARGEST_ANSWERED: usize = 12 << 20;
/// The tree that is made of one review, in bytes: two objects with five thousand variables each, and the records of who set them, weigh
/// three quarters of that; what can be held ends at four thousand.
const HEAVIEST: usize = 24 << 20;
/// All bodies that are in memory at once, and all trees: what is made of a tree on the way to an answer takes as much again.
const BODIES: usize = 8 << 20;
const TREES: usize = 24 << 20;
/// What is counted together, so that counts fit into a semaphore.
const UNIT: usize = 1 << 10;

/// From a review's head to its end. A review is sent in one go.
const COMES_WITHIN: Duration = Duration::from_secs(2);
/// For room in the budgets: less than the API server waits for an answer.
const ROOM_WITHIN: Duration = Duration::from_secs(2);

/// The budgets of this process.
#[derive(Debug, Clone)]
pub(super) struct Intake {
    bodies: Arc<Semaphore>,
    trees: Arc<Semaphore>,
    comes_within: Duration,
    room_within: Duration,
}

impl Default for Intake {
    fn default() -> Self {
        let (bodies, trees) = (Arc::new(Semaphore::new(BODIES / UNIT)), Arc::new(Semaphore::new(TREES / UNIT)));
        Self { bodies, trees, comes_within: COMES_WITHIN, room_within: ROOM_WITHIN }
    }
}

/// A review that may be parsed. Its part of the budgets is free when it is dropped.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) body: Vec<u8>,
    room: OwnedSemaphorePermit,
    tree: OwnedSemaphorePermit,
}

impl Taken {
    /// The body is dropped once it is parsed; what is returned goes with the tree.
    pub(super) fn parsed(self) -> OwnedSemaphorePermit {
        drop(self.room);
        self.tree
    }
}

/// Why a review is not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Of this many bytes. The uid, where it was read, is what an answer in words needs.
    Large { uid: Option<String>, bytes: usize },
    /// It would take this many bytes of memory.
    Heavy { uid: Option<String>, bytes: usize },
    /// It did not come in time, or not at all.
    Slow,
    /// Others took all the room for too long.
    Busy,
}

impl Intake {
    pub(super) async fn take(&self, request: Request) -> Result<Taken, Refusal> {
        let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        // A request without a length gets the room of the largest.
        let expected = length.unwrap_or(LARGEST);
        let body = request.into_body();
        if expected > LARGEST {
            let uid = tokio::time::timeout(self.comes_within, thrown_away(body, expected)).await.map_err(|_| Refusal::Slow)?;
            return Err(Refusal::Large { uid, bytes: expected });
        }
        let room = self.room(&self.bodies, expected).await?;
        let body = tokio::time::timeout(self.comes_within, read(body, expected)).await.map_err(|_| Refusal::Slow)??;
        let bytes = weight(&body);
        if bytes > HEAVIEST {
            return Err(Refusal::Heavy { uid: review::uid(&body), bytes });
        }
        let tree = self.room(&self.trees, bytes).await?;
        Ok(Taken { body, room, tree })
    }

    async fn room(&self, of: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let room = tokio::time::timeout(self.room_within, Arc::clone(of).acquire_many_owned(units)).await;
        room.ok().and_then(Result::ok).ok_or(Refusal::Busy)
    }
}

async fn read(body: Body, expected: usize) -> Result<Vec<u8>, Refusal> {
    let mut stream = body.into_data_stream();
    let mut read = Vec::with_capacity(expected);
    while let Some(part) = stream.next().await {
        let part: Bytes = part.map_err(|_| Refusal::Slow)?;
        if read.len() + part.len() > expected {
            let bytes = read.len() + part.len();
            read.extend_from_slice(&part[..part.len().min(BEGINNING)]);
            return Err(Refusal::Large { uid: review::uid(&read), bytes });
        }
        read.extend_from_slice(&part);
    }
    Ok(read)
}

/// Reads to the end and keeps nothing but the review's uid, which stands at its beginning.
async fn thrown_away(body: Body, expected: usize) -> Option<String> {
    if expected > LARGEST_ANSWERED {
        return None;
    }
    let mut stream = body.into_data_stream();
    let mut beginning = Vec::new();
    while let Some(Ok(part)) = stream.next().await {
        if beginning.len() < BEGINNING {
            beginning.extend_from_slice(&part[..part.len().min(BEGINNING)]);
        }
    }
    review::uid(&beginning)
}

const BEGINNING: usize = 4 << 10;

impl Refusal {
    /// To a review whose denial in words stops the request: of the Deployment.
    pub(super) fn denial(self) -> Response {
        let words = self.words();
        match self {
            Self::Large { uid: Some(uid), .. } | Self::Heavy { uid: Some(uid), .. } => review::denial(&uid, &words),
            other => other.failure(),
        }
    }

    /// To one where that must be left to the entry's `failurePolicy`: of a status.
    pub(super) fn failure(self) -> Response {
        let status = match &self {
            Self::Large { .. } | Self::Heavy { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        };
        // What is still under way of the body is not waited for.
        (status, [(header::CONNECTION, "close")], self.words()).into_response()
    }

    fn words(&self) -> String {
        match self {
            Self::Large { bytes, .. } => denied::review_too_large(*bytes, LARGEST),
            Self::Heavy { bytes, .. } => denied::review_too_heavy(*bytes, HEAVIEST),
            Self::Slow => "canary: the review did not come in time".to_owned(),
            Self::Busy => "canary: Coalmine is busy with other large requests; try again".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    const HEAD: &str =
        r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"705ab4f5-6393-11e8-b7cc-42010a800002","object":"#;

    fn sized(body: impl Into<Body>, length: usize) -> Request {
        Request::post("/admit").header(header::CONTENT_LENGTH, length).body(body.into()).unwrap()
    }

    fn impatient() -> Intake {
        let moment = Duration::from_millis(50);
        Intake { comes_within: moment, room_within: moment, ..Intake::default() }
    }

    fn uid() -> String {
        "705ab4f5-6393-11e8-b7cc-42010a800002".to_owned()
    }

    #[tokio::test]
    async fn what_is_too_large_is_refused_unparsed_and_with_its_uid() {
        let text = format!("{HEAD}\"{}\"}}}}", "x".repeat(5 << 20));
        let refused = Intake::default().take(sized(text.clone(), text.len())).await.unwrap_err();
        assert_eq!(refused, Refusal::Large { uid: Some(uid()), bytes: text.len() });
        let refused = Intake::default().take(sized(text, 4)).await.unwrap_err();
        assert!(matches!(refused, Refusal::Large { uid: Some(_), bytes } if bytes > 4), "more than it said: {refused:?}");
        assert_eq!(Intake::default().take(sized("", 1 << 30)).await.unwrap_err(), Refusal::Large { uid: None, bytes: 1 << 30 });
    }

    #[tokio::test]
    async fn what_would_fill_the_memory_is_refused_unparsed() {
        let text = format!("{HEAD}[{}]}}}}", vec![r#"{"a":1}"#; 200_000].join(","));
        let refused = Intake::default().take(sized(text.clone(), text.len())).await.unwrap_err();
        assert!(matches!(&refused, Refusal::Heavy { uid: found, bytes } if *found == Some(uid()) && *bytes > 100 << 20), "{refused:?}");
        insta::assert_snapshot!(Refusal::Heavy { uid: None, bytes: 173_800_000 }.words(),
            @"canary: this Deployment has too many fields and items: looking at it takes 173,800,000 bytes of memory, more than the 25,165,824 that there are; shorten its lists");
        insta::assert_snapshot!(Refusal::Large { uid: None, bytes: 5_000_000 }.words(),
            @r#"canary: this Deployment and the stored one are 5,000,000 bytes together, more than the 4,194,304 that are looked at; shorten the manifest, or opt out with canary.enabled: "false" in one that is shorter"#);
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_given_up_and_its_room_is_free_again() {
        let intake = impatient();
        let endless = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(intake.take(sized(endless, LARGEST)).await.unwrap_err(), Refusal::Slow);
        assert_eq!(intake.bodies.available_permits(), BODIES / UNIT);
    }

    #[tokio::test]
    async fn all_together_get_the_budget_and_no_more() {
        let intake = impatient();
        let text = format!("\"{}\"", "x".repeat(LARGEST - 2));
        let first = intake.take(sized(text.clone(), LARGEST)).await.unwrap();
        let second = intake.take(sized(text.clone(), LARGEST)).await.unwrap();
        assert_eq!(intake.take(sized(text.clone(), LARGEST)).await.unwrap_err(), Refusal::Busy);
        drop(first);
        intake.take(sized(text, LARGEST)).await.unwrap();
        let tree = second.parsed();
        assert_eq!(intake.bodies.available_permits(), BODIES / UNIT);
        drop(tree);
        assert_eq!(intake.trees.available_permits(), TREES / UNIT);
    }
}
