//! What is refused: `file:line:column: what is wrong, what is supported`, once.

use crate::parse;
use firedrill_core::source::Source;

const GOOD: &str = "\
services:
  web:
    image: i
    build: {context: ../i}
    networks: {front: {}}
    volumes: [\"media:/data\"]
    ports: [\"127.0.0.1::80\"]
    restart: \"no\"
    deploy: {replicas: 2}
    x-firedrill: {tier: web, kind: pretix-web}
  lb:
    image: i
    build: ../i
    networks: {front: {ipv4_address: 10.0.0.2}}
    x-firedrill: {tier: lb, kind: nginx, start_after: [web]}
networks:
  front: {driver: bridge, ipam: {config: [{subnet: 10.0.0.0/24}]}}
volumes:
  media: {}
";

/// Replaces each `from` by its `to` and gives the message; the text must then be refused.
fn check(edits: &[(&str, &str)]) -> String {
    let text = edits.iter().fold(GOOD.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from:?} is not in the text");
        text.replacen(from, to, 1)
    });
    match parse(&Source::new("c.yaml", text)) {
        Ok(_) => format!("ACCEPTED {edits:?}"),
        Err(error) => error.to_string(),
    }
}

fn all(cases: &[(&str, &str)]) -> String {
    cases.iter().map(|case| check(&[*case])).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_text_that_is_spoilt_is_right() {
    assert!(parse(&Source::new("c.yaml", GOOD)).is_ok());
}

#[test]
fn keys() {
    let cases = [
        ("volumes:\n  media", "secrets: {}\nvolumes:\n  media"),
        ("    image: i", "    image: i\n    privileged: true"),
        ("kind: pretix-web", "kind: pretix-web, color: red"),
        ("services:", "x-firedrill: {descripton: d}\nservices:"),
        ("kind: nginx", "kind: nginx, entry_point: {prot: 80}"),
        ("{context: ../i}", "{context: ../i, target: t}"),
        ("{front: {}}", "{front: {priority: 1}}"),
        ("{replicas: 2}", "{mode: global}"),
        ("{driver: bridge, ", "{driver: bridge, internal: true, "),
        ("{subnet: 10", "{gateway: 10.0.0.1, subnet: 10"),
        ("media: {}", "media: {driver: local}"),
        ("kind: pretix-web", "kind: mysql"),
        ("tier: web, ", ""),
        ("    image: i\n", ""),
        ("    networks: {front: {}}\n", ""),
        ("    x-firedrill: {tier: web, kind: pretix-web}\n", ""),
        ("    build: {context: ../i}\n", ""),
        ("{context: ../i}", "{}"),
        ("ipam: {config: [{subnet: 10.0.0.0/24}]}", ""),
        ("    image: i\n", "    image: i\n    image: j\n"),
        ("  lb:\n", "  web:\n"),
        ("image: i", "image: [i]"),
        ("image: i", "image:"),
        ("{replicas: 2}", "{replicas: two}"),
        ("restart: \"no\"", "init: perhaps"),
    ];
    insta::assert_snapshot!(all(&cases), @r#"
    c.yaml:18:1: unknown key "secrets"; supported here: version, services, networks, volumes, x-firedrill, x-*
    c.yaml:4:5: unknown key "privileged"; supported here: image, build, command, hostname, environment, networks, volumes, ports, extra_hosts, init, shm_size, cpu_shares, sysctls, cap_add, stop_signal, stop_grace_period, depends_on, restart, labels, deploy, x-firedrill
    c.yaml:10:48: unknown key "color"; supported here: tier, kind, start_after, entry_point, single, clock
    c.yaml:1:15: unknown key "descripton"; supported here: description, subnet_variable, secrets, hosts
    c.yaml:15:56: unknown key "prot"; supported here: port
    c.yaml:4:28: unknown key "target"; supported here: context
    c.yaml:5:24: unknown key "priority"; supported here: aliases, ipv4_address
    c.yaml:9:14: unknown key "mode"; supported here: replicas
    c.yaml:17:27: unknown key "internal"; supported here: driver, ipam
    c.yaml:17:44: unknown key "gateway"; supported here: subnet
    c.yaml:19:11: unknown key "driver"; supported here: x-firedrill
    c.yaml:10:36: unknown value "mysql"; supported here: postgres, pgpool, redis, sentinel, haproxy, pretix-web, pretix-worker, pretix-periodic, nginx
    c.yaml:10:19: the key "tier" is missing
    c.yaml:2:3: service web: the key "image" is missing
    c.yaml:2:3: service web: the key "networks" is missing
    c.yaml:2:3: service web: the key "x-firedrill" is missing
    c.yaml:2:3: service web: the key "build" is missing
    c.yaml:4:12: the key "context" is missing
    c.yaml:17:11: the key "ipam" is missing
    c.yaml:4:5: the key "image" is given twice
    c.yaml:11:3: the key "web" is given twice
    c.yaml:3:5: found sequence; supported here: a text, a number or true/false
    c.yaml:2:3: service web: the key "image" is missing
    c.yaml:9:24: this is not a whole number from 0 on, or it is too large
    c.yaml:8:11: this is not true or false
    "#);
}

#[test]
fn values() {
    let cases = [
        ("restart: \"no\"", "restart: always"),
        ("replicas: 2", "replicas: 0"),
        ("replicas: 2", "replicas: 21"),
        ("replicas: 2", "replicas: -1"),
        ("kind: pretix-web", "kind: postgres"),
        ("10.0.0.2}", "10.0.0.2, aliases: [\"$\"]}"),
        ("media:/data", "data:/data"),
        ("media:/data", "./media:/data"),
        ("media:/data", "/srv/media:/data"),
        ("media:/data", "media:data"),
        ("media:/data", "media"),
        ("media:/data", "media:/data:rw"),
        ("127.0.0.1::80", "80"),
        ("127.0.0.1::80", "8080:80"),
        ("127.0.0.1::80", "0.0.0.0::80"),
        ("127.0.0.1::80", "127.0.0.1:8080:80"),
        ("127.0.0.1::80", "127.0.0.1::70000"),
        ("[web]", "[wbe]"),
        ("[web]", "[lb]"),
        ("kind: pretix-web", "kind: pretix-web, start_after: [lb]"),
        ("  lb:", "  web-2:"),
        ("restart: \"no\"", "shm_size: big"),
        ("restart: \"no\"", "stop_grace_period: 1m"),
    ];
    insta::assert_snapshot!(all(&cases), @r#"
    c.yaml:8:14: restart must be "no": who kills nodes must be the one who starts them again
    c.yaml:9:24: replicas is 0: give 1 to 20
    c.yaml:9:24: replicas is 21: give 1 to 20
    c.yaml:9:24: this is not a whole number from 0 on, or it is too large
    c.yaml:9:24: nodes with roles need a name and a volume of their own: write one service each
    c.yaml:14:58: "$" is not understood: write $NAME, ${NAME}, ${NAME:-default}, ${NAME:?message} or $$
    c.yaml:6:15: "data" is no volume of this file; folders of the host are not supported
    c.yaml:6:15: "./media" is no volume of this file; folders of the host are not supported
    c.yaml:6:15: "/srv/media" is no volume of this file; folders of the host are not supported
    c.yaml:6:15: "media:data" is not understood: write volume:/path or volume:/path:ro
    c.yaml:6:15: "media" is not understood: write volume:/path or volume:/path:ro
    c.yaml:6:15: "media:/data:rw" is not understood: write volume:/path or volume:/path:ro
    c.yaml:7:13: "80" is not supported: write 127.0.0.1::PORT
    c.yaml:7:13: "8080:80" is not supported: write 127.0.0.1::PORT
    c.yaml:7:13: "0.0.0.0::80" is not supported: write 127.0.0.1::PORT
    c.yaml:7:13: "127.0.0.1:8080:80" is not supported: write 127.0.0.1::PORT
    c.yaml:7:13: "127.0.0.1::70000" is not supported: write 127.0.0.1::PORT
    c.yaml:15:56: start_after names "wbe", which is no service
    c.yaml:11:3: service lb waits in a circle of start_after, or for one
    c.yaml:2:3: service web waits in a circle of start_after, or for one
    c.yaml:11:3: two nodes would be called web-2: rename the service web-2
    c.yaml:8:15: "big" is not a size: write for example 128m
    c.yaml:8:24: "1m" is not understood: write whole seconds, for example 10s
    "#);
}

#[test]
fn networks_and_addresses() {
    let cases = [
        ("{front: {}}", "{front: {ipv4_address: 10.0.0.9}}"),
        ("10.0.0.2}", "10.0.1.2}"),
        ("10.0.0.2}", "web}"),
        ("{front: {}}", "{back: {}}"),
        ("10.0.0.2}", "10.0.0.0}"),
        ("10.0.0.2}", "10.0.0.1}"),
        ("10.0.0.2}", "10.0.0.255}"),
        ("networks:\n", "networks:\n  back: {ipam: {config: [{subnet: 10.0.0.128/25}]}}\n"),
        ("driver: bridge", "driver: overlay"),
        ("10.0.0.0/24", "10.0.0.0"),
        ("10.0.0.0/24", "10.0.0.1/24"),
        ("10.0.0.0/24", "10.0.0.0/30"),
        ("10.0.0.0/24", "10.0.0.0/33"),
        ("[{subnet: 10.0.0.0/24}]", "[]"),
        ("restart: \"no\"", "extra_hosts: [\"db\"]"),
    ];
    insta::assert_snapshot!(all(&cases), @r#"
    c.yaml:5:38: a service with replicas cannot have a fixed address
    c.yaml:14:38: 10.0.1.2 is outside of the network front
    c.yaml:14:38: "web" is not an IPv4 address
    c.yaml:5:22: service web joins "back", which is no network of this file
    c.yaml:14:38: 10.0.0.0 belongs to the network front itself: its first two and its last address do
    c.yaml:14:38: 10.0.0.1 belongs to the network front itself: its first two and its last address do
    c.yaml:14:38: 10.0.0.255 belongs to the network front itself: its first two and its last address do
    c.yaml:18:52: networks back and front overlap: give each a subnet of its own
    c.yaml:17:19: the network driver must be bridge
    c.yaml:17:52: "10.0.0.0" is not a subnet: write a.b.c.d/n with n from 8 to 29
    c.yaml:17:52: "10.0.0.1/24" is not a subnet: write a.b.c.d/n with n from 8 to 29
    c.yaml:17:52: "10.0.0.0/30" is not a subnet: write a.b.c.d/n with n from 8 to 29
    c.yaml:17:52: "10.0.0.0/33" is not a subnet: write a.b.c.d/n with n from 8 to 29
    c.yaml:17:10: network front: give exactly one subnet in ipam.config
    c.yaml:8:19: "db" is not understood: write name:address
    "#);
    let small = ("10.0.0.0/24", "10.0.0.0/29");
    insta::assert_snapshot!(check(&[small, ("replicas: 2", "replicas: 4")]), @r#"
    c.yaml:2:3: network front has no address left for web-4: give it a larger subnet
    "#);
    let twice = (
        "    build: {context: ../i}\n    networks: {front: {}}",
        "    build: .\n    networks: {front: {ipv4_address: 10.0.0.2}}",
    );
    insta::assert_snapshot!(check(&[twice, ("replicas: 2", "replicas: 1")]), @r#"
    c.yaml:11:3: services web and lb both have 10.0.0.2 in front
    "#);
}

#[test]
fn variables() {
    let cases = [
        ("image: i", "image: \"${TAG:?see env.example}\""),
        ("image: i", "image: $TAG"),
        ("image: i", "image: a${TAG"),
        ("image: i", "image: a${TAG:+b}"),
        ("image: i", "image: i\n    environment: {A: b, C: \"$\"}"),
        ("image: i", "image: i\n    command: [a, \"$B\"]"),
        ("10.0.0.0/24", "\"${NET}.0/24\""),
    ];
    insta::assert_snapshot!(all(&cases), @r#"
    c.yaml:3:12: the variable TAG has no value: see env.example
    c.yaml:3:12: the variable TAG has no value
    c.yaml:3:12: "${TAG" is not understood: write $NAME, ${NAME}, ${NAME:-default}, ${NAME:?message} or $$
    c.yaml:3:12: "${TAG:+b}" is not understood: write $NAME, ${NAME}, ${NAME:-default}, ${NAME:?message} or $$
    c.yaml:4:28: "$" is not understood: write $NAME, ${NAME}, ${NAME:-default}, ${NAME:?message} or $$
    c.yaml:4:18: the variable B has no value
    c.yaml:17:52: the variable NET has no value
    "#);
}

#[test]
fn yaml() {
    let cases = [
        ("    image: i", "\timage: i"),
        ("{front: {}}", "{front: {}"),
        ("\"127.0.0.1::80\"", "\"127.0.0.1::80"),
        ("    image: i", "   image: i"),
        ("image: i", "image: *none"),
        ("image: i", "image: i\n    <<: 3"),
        ("services:", "services: 3\nx-a:"),
        ("networks:\n  front: {driver", "x-b:\n  front: {driver"),
        ("volumes:\n  media: {}", "---\nmore: 1"),
    ];
    insta::assert_snapshot!(all(&cases), @r#"
    c.yaml:3:2: tabs disallowed within this context (block indentation)
    c.yaml:6:5: while parsing a flow mapping, did not find expected ',' or '}'
    c.yaml:8:15: invalid trailing content after double-quoted scalar
    c.yaml:4:10: mapping values are not allowed in this context
    c.yaml:3:12: this alias names no anchor above it
    c.yaml:4:9: YAML merge value must be mapping or sequence of mappings
    c.yaml:1:11: a mapping (key: value) is needed here
    c.yaml:5:23: service web joins "front", which is no network of this file
    c.yaml:19:1: more than one document (---) in the file; one is supported
    "#);
    let whole = ["", "\n# nothing\n", "text", "[1]", "services: {}\nnetworks: {}\n"];
    let whole = whole.map(|text| parse(&Source::new("c.yaml", text)).expect_err(text).to_string());
    insta::assert_snapshot!(whole.join("\n"), @r#"
    c.yaml:1:1: no services: a topology needs at least one below the key "services"
    c.yaml:1:1: no services: a topology needs at least one below the key "services"
    c.yaml:1:1: a mapping (key: value) is needed here
    c.yaml:1:1: a mapping (key: value) is needed here
    c.yaml:1:1: no services: a topology needs at least one below the key "services"
    "#);
}

/// What is wrong in a block that others merge is shown where it is written.
#[test]
fn merged_blocks() {
    let cases = [
        ("services:", "x-base: &base\n  restart: always\nservices:"),
        ("services:", "x-base: &base\n  privileged: true\nservices:"),
        ("services:", "x-base: &base\n  volumes: [\"./a:/b\"]\nservices:"),
    ];
    let merged = ("    image: i\n    build: ../i\n", "    <<: *base\n    image: i\n    build: ../i\n");
    let messages: Vec<String> = cases.iter().map(|case| check(&[*case, merged])).collect();
    insta::assert_snapshot!(messages.join("\n"), @r#"
    c.yaml:2:12: restart must be "no": who kills nodes must be the one who starts them again
    c.yaml:2:3: unknown key "privileged"; supported here: image, build, command, hostname, environment, networks, volumes, ports, extra_hosts, init, shm_size, cpu_shares, sysctls, cap_add, stop_signal, stop_grace_period, depends_on, restart, labels, deploy, x-firedrill
    c.yaml:2:13: "./a" is no volume of this file; folders of the host are not supported
    "#);
}
