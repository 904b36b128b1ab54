//! Client errors in blocks, as the errors are; the ordinary pod's requests go with them.

use super::super::client_errors::{ClientCounts, ClientErrorTest, ClientLook, ClientParameters};
use super::super::{Blocks, ClientErrors, Counts, Deadline, Look};

#[derive(Clone, Debug)]
pub(super) struct Clients {
    test: ClientErrorTest,
    blocks: Blocks,
    ordinary: f64,
}

impl Clients {
    pub(super) fn new(parameters: ClientParameters) -> Self {
        Self { blocks: Blocks::new(parameters.floor()), test: ClientErrorTest::new(parameters), ordinary: 0.0 }
    }

    pub(super) fn push(&mut self, look: &Look, ordinary: f64) {
        self.ordinary += ordinary;
        if let Some(block) = self.blocks.push(look) {
            self.test.push(&client_look(&block, std::mem::take(&mut self.ordinary)));
        }
    }

    /// An open block holds; it rejects only when nothing will follow.
    pub(super) fn result(&self, deadline: Deadline) -> ClientErrors {
        let Some(open) = self.blocks.open() else { return self.test.result() };
        let mut test = self.test.clone();
        test.push(&client_look(open, self.ordinary));
        let result = test.result();
        match deadline {
            Deadline::Ahead => ClientErrors { rejected_at: self.test.result().rejected_at, ..result },
            Deadline::Reached => result,
        }
    }
}

fn client_look(block: &Look, ordinary: f64) -> ClientLook {
    let counts = |counts: Counts| ClientCounts { requests: counts.requests, client_errors: counts.errors };
    ClientLook { canary: counts(block.canary), primary: counts(block.primary), ordinary, warm_up: block.warm_up }
}
