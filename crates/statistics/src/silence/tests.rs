//! Stories of canaries that stop, and of those that only seem to.

use rstest::rstest;

use super::*;

const EVEN_SERVICE: Option<Evenness> = Some(Evenness { smallest: 0.9, variation: 0.0004 });
const UNEVEN_SERVICE: Option<Evenness> = Some(Evenness { smallest: 0.3, variation: 0.05 });

fn look(canary: f64, ordinary: f64) -> SilenceLook {
    SilenceLook { interval: Duration::from_secs(5), canary, ordinary, pods: 10 }
}

fn story(looks: &[(usize, f64, f64)], evenness: Option<Evenness>) -> Silence {
    let looks: Vec<SilenceLook> =
        looks.iter().flat_map(|&(times, canary, ordinary)| std::iter::repeat_n(look(canary, ordinary), times)).collect();
    silence(&looks, SilenceParameters { alpha: 0.001, planned: 120, evenness })
}

#[rstest]
#[case::goes_on(&[(12, 450.0, 450.0)], EVEN_SERVICE, false, false, true)]
#[case::hangs(&[(3, 450.0, 450.0), (3, 0.0, 450.0)], EVEN_SERVICE, true, true, false)]
#[case::hangs_for_ten_seconds(&[(3, 450.0, 450.0), (2, 0.0, 450.0)], EVEN_SERVICE, true, false, false)]
#[case::hangs_in_an_uneven_service(&[(3, 450.0, 450.0), (9, 0.0, 450.0)], UNEVEN_SERVICE, true, false, false)]
#[case::hangs_and_nothing_is_known(&[(3, 450.0, 450.0), (9, 0.0, 450.0)], None, true, false, false)]
#[case::never_has_a_request(&[(12, 0.0, 450.0)], EVEN_SERVICE, true, false, false)]
#[case::all_traffic_stops(&[(3, 450.0, 450.0), (9, 0.0, 0.0)], EVEN_SERVICE, false, false, true)]
#[case::all_traffic_fades(&[(3, 450.0, 450.0), (9, 0.0, 1.0)], EVEN_SERVICE, false, false, true)]
#[case::the_primary_alone_grows(&[(3, 450.0, 450.0), (9, 450.0, 2250.0)], EVEN_SERVICE, false, false, true)]
#[case::the_primary_alone_grows_a_lot(&[(3, 450.0, 450.0), (9, 450.0, 9000.0)], EVEN_SERVICE, true, false, false)]
#[case::nobody_has_traffic(&[(12, 0.0, 0.5)], EVEN_SERVICE, false, false, true)]
fn stories(
    #[case] looks: &[(usize, f64, f64)],
    #[case] evenness: Option<Evenness>,
    #[case] holds: bool,
    #[case] rejects: bool,
    #[case] clean: bool,
) {
    let silence = story(looks, evenness);
    assert_eq!((silence.holds, silence.rejects, silence.is_clean()), (holds, rejects, clean), "{silence:?}");
}

#[test]
fn whoever_looks_later_still_sees_the_rejection() {
    let silence = story(&[(3, 450.0, 450.0), (4, 0.0, 450.0), (12, 450.0, 450.0)], EVEN_SERVICE);
    assert!(silence.rejected && !silence.rejects && !silence.holds, "{silence:?}");
}

#[test]
fn the_numbers_of_the_sentence() {
    let silence = story(&[(3, 450.0, 450.0), (3, 0.0, 460.0)], EVEN_SERVICE);
    let SilentStretch { lasts, before_per_second, canary_per_second, ordinary_per_second, .. } = silence.stretch;
    assert_eq!((lasts, silence.stretch.looks), (Duration::from_secs(15), 3));
    assert!((before_per_second - 90.0).abs() < 1e-9 && canary_per_second.abs() < 1e-9 && (ordinary_per_second - 92.0).abs() < 1e-9);
}
