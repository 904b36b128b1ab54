//! Which programs are built, and when they are built again.

use super::*;
use rstest::rstest;

#[rstest]
#[case("go.etcd.io/etcd/server/v3", "etcd")]
#[case("coalmine.dev/cluster/coredns", "coredns")]
#[case("k8s.io/kubernetes/cmd/kube-apiserver", "kube-apiserver")]
fn names(#[case] package: &str, #[case] expected: &str) {
    assert_eq!(program_name(package), expected);
}

#[rstest]
#[case("go.etcd.io/etcd/server/v3", "server")]
#[case("k8s.io/kubernetes/cmd/kube-proxy", "kube-proxy")]
#[case("example.com/v8/cmd/v", "v")]
#[case("example.com/v1", "v1")]
fn go_calls_them(#[case] package: &str, #[case] expected: &str) {
    assert_eq!(built_name(package), expected);
}

#[test]
fn no_two_tools_of_a_module_are_written_to_one_file() {
    let pins = command::read(&repository().join("xtask/go/kubernetes/go.mod")).unwrap();
    let mut names: Vec<&str> = tools(&pins).into_iter().map(built_name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "{names:?}");
}

#[test]
fn a_program_that_nothing_pins_is_named() {
    let error = with_packages(&["etcd", "vi"], &["go.etcd.io/etcd/server/v3"], Path::new("xtask/go/kubernetes")).unwrap_err();
    assert_eq!(error.to_string(), "failed to find vi among the tools of xtask/go/kubernetes");
}

#[test]
fn tools_are_read_in_both_spellings() {
    assert_eq!(tools("tool a/b\n\ntool (\n\tc/d\n\te\n)\nrequire (\n\tf v1\n)\n"), ["a/b", "c/d", "e"]);
}

#[test]
fn every_program_is_pinned() {
    let pins = command::read(&repository().join("xtask/go/kubernetes/go.mod")).unwrap();
    let names: Vec<&str> = tools(&pins).into_iter().map(program_name).collect();
    for program in CONTROL_PLANE.iter().chain(&NODE) {
        assert!(names.contains(program), "{program} is not among {names:?}");
    }
}

#[test]
fn an_older_module_names_that_versions_staging_modules() {
    let own = "module k8s.io/kubernetes\nreplace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n\tother => v1\n)\nreplace k8s.io/kms => ./staging/src/k8s.io/kms\n";
    insta::assert_snapshot!(module_for("1.30.14", own, &["kube-apiserver", "kube-controller-manager"]).unwrap(), @r"
    // Of another Kubernetes, for the tests: written by `cargo xtask`.
    module coalmine.dev/cluster

    go 1.26.0

    tool (
    	k8s.io/kubernetes/cmd/kube-apiserver
    	k8s.io/kubernetes/cmd/kube-controller-manager
    )

    require k8s.io/kubernetes v1.30.14

    replace (
    	k8s.io/api => k8s.io/api v0.30.14
    	k8s.io/kms => k8s.io/kms v0.30.14
    )
    ");
}

#[test]
fn the_pinned_version_is_three_numbers() {
    kubernetes_flags(&default_kubernetes().unwrap()).unwrap();
}

#[test]
fn a_malformed_version_is_refused_with_an_example() {
    let error = kubernetes_flags("1.30").unwrap_err().to_string();
    assert_eq!(error, "failed to parse the Kubernetes version \"1.30\": expected three numbers such as 1.30.14");
}
