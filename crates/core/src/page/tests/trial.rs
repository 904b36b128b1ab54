//! The page of one Deployment, whole: pictures, numbers, difference, history.

use super::*;

#[test]
fn a_trial_that_goes_on() {
    insta::assert_snapshot!(lines(main_of(&detail(&running(), now()).unwrap())));
}
