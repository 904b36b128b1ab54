//! Where the held template serves what the live one serves at a port: who moves the page with the counters still counts there. Reads templates alone.

use serde_json::Value;

use super::probes::containers;

/// Where the held template opens what the live one opens at this port: under the same name, or as the one port that is new.
pub fn port(live: &Value, held: &Value, at: u16) -> Option<u16> {
    let ports = |pod_spec| -> Vec<(Option<&str>, u64)> {
        let listed = containers(pod_spec).filter_map(|container| container.get("ports")?.as_array()).flatten();
        listed.filter_map(|one| Some((one.get("name").and_then(Value::as_str), one.get("containerPort")?.as_u64()?))).collect()
    };
    let (before, now) = (ports(live), ports(held));
    let is_there = |all: &[(Option<&str>, u64)], port: u64| all.iter().any(|(_, one)| *one == port);
    let (name, _) = before.iter().find(|(_, one)| *one == u64::from(at)).filter(|_| !is_there(&now, u64::from(at)))?;
    let new: Vec<_> = now.iter().filter(|(_, one)| !is_there(&before, *one)).collect();
    let named = new.iter().find(|(other, _)| name.is_some() && other == name);
    let only = || new.first().filter(|_| new.len() == 1);
    named.or_else(only).and_then(|(_, port)| u16::try_from(*port).ok())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::by_its_name(json!([[8080, "http"], [9091, "admin"], [7070, "debug"]]), Some(9091))]
    #[case::the_only_new_one(json!([[8080, "http"], [9091, "management"]]), Some(9091))]
    #[case::one_of_several(json!([[8080, "http"], [9091, "a"], [7070, "b"]]), None)]
    #[case::it_stays(json!([[8080, "http"], [9090, "metrics"], [9091, "admin"]]), None)]
    #[case::it_goes(json!([[8080, "http"]]), None)]
    fn where_a_port_has_moved_to(#[case] held: Value, #[case] expected: Option<u16>) {
        let spec = |ports: &Value| {
            let ports: Vec<Value> = ports.as_array().unwrap().iter().map(|one| json!({"containerPort": one[0], "name": one[1]})).collect();
            json!({"containers": [{"ports": ports}]})
        };
        assert_eq!(super::port(&spec(&json!([[8080, "http"], [9090, "admin"]])), &spec(&held), 9090), expected);
        assert_eq!(super::port(&Value::Null, &spec(&held), 9090), None);
    }
}
