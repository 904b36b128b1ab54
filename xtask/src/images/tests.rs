//! What an image holds, and its name.

use rstest::rstest;

use super::*;

#[rstest]
#[case("kind-kind", Some("kind load image-archive /a.tar --name kind"))]
#[case("kind-two-words", Some("kind load image-archive /a.tar --name two-words"))]
#[case("minikube", Some("minikube image load /a.tar --profile minikube"))]
#[case("kind-", None)]
#[case("production", None)]
fn a_local_cluster_is_told_by_its_context(#[case] context: &str, #[case] command: Option<&str>) {
    let line = Loader::of(context).map(|loader| format!("{} {}", loader.program, loader.arguments(Path::new("/a.tar")).join(" ")));
    assert_eq!(line.as_deref(), command);
}

#[test]
fn only_older_archives_of_the_same_image_are_removed() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["demo-app-0123abcd.tar", "demo-app-good-0123abcd.tar", "coalmine-0123abcd.tar"] {
        fs::write(directory.path().join(name), "").unwrap();
    }
    remove_older(directory.path(), "demo-app").unwrap();
    let mut left: Vec<String> =
        fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, ["coalmine-0123abcd.tar", "demo-app-good-0123abcd.tar"]);
}

#[test]
fn names_are_told_apart() {
    let mut names: Vec<&str> = BASE.iter().chain(&OWN).flat_map(|image| [image.name, image.short]).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}
