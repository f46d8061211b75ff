//! The image of labwire, as `make images` builds it.

use lab_chart::{PRODUCTION, production, run};

fn image() -> String {
    format!("labwire/labwire:{}", env!("CARGO_PKG_VERSION"))
}

/// `docker run` of the image, as the chart's pods run it: read-only, no capability, no new privilege.
fn docker(more: &[&str], command: &[&str]) -> lab_chart::Ran {
    let image = image();
    let safe = [
        "run",
        "--rm",
        "--read-only",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--network=none",
        "--label=labwire.test=chart",
    ];
    run("docker", &[&safe, more, &[&image], command].concat())
}

#[test]
fn docker_image_is_small_and_its_user_is_a_number_that_is_not_root() {
    let said = run(
        "docker",
        &["image", "inspect", "--format", "{{.Size}} {{.Config.User}}", &image()],
    );
    assert!(said.ok, "{} (make images builds it)", said.stderr);
    let (size, user) = said.stdout.trim().split_once(' ').expect("two words");
    assert_eq!(user, "65532:65532", "runAsNonRoot wants a number");
    let mb = size.parse::<u64>().expect("bytes") / 1_000_000;
    assert!(mb <= 60, "{mb} MB");
}

#[test]
fn docker_image_runs_with_a_read_only_root_and_without_any_right() {
    let version = docker(&[], &["--version"]).expect_ok();
    assert_eq!(version.trim(), format!("labwire {}", env!("CARGO_PKG_VERSION")));
    let agent = docker(&["--entrypoint=/usr/lib/labwire/lab-agent"], &["--version"]).expect_ok();
    assert!(agent.starts_with("lab-agent "), "{agent}");
    let labs = docker(&["--entrypoint=ls"], &["/usr/share/labwire/labs"]).expect_ok();
    let shipped = run(
        "sh",
        &[
            "-c",
            "for lab in lab-images/*/labs/*/; do basename \"$lab\"; done | sort",
        ],
    )
    .expect_ok();
    assert_eq!(labs, shipped);
}

/// Nobody but root may change what the program is.
#[test]
fn docker_image_has_nothing_that_its_user_could_change_and_nothing_set_uid() {
    let find = [
        "/",
        "-xdev",
        "(",
        "-perm",
        "-4000",
        "-o",
        "-perm",
        "-2000",
        "-o",
        "-user",
        "65532",
        ")",
        "-a",
        "!",
        "-path",
        "/var/lib/labwire",
    ];
    let found = docker(&["--entrypoint=find"], &find);
    assert_eq!(found.stdout, "", "{}", found.stderr);
}

/// What the chart writes is what the program reads.
#[test]
fn docker_image_reads_the_settings_of_both_profiles() {
    let trial = lab_chart::trial(&[]);
    let production = production(&["config.http.frame_ancestors={https://learn.example.org}"]);
    assert!(PRODUCTION.iter().any(|v| v.starts_with("launchKeys.ids={2026-11,")));
    let secrets = [
        "-e=LABWIRE_DATABASE=postgres://u:p@db/labwire",
        "-e=LABWIRE_S3_ACCESS_KEY=a",
        "-e=LABWIRE_S3_SECRET_KEY=b",
        "-e=LABWIRE_METRICS_TOKEN=t",
    ];
    for (chart, environment) in [(trial, &[] as &[&str]), (production, &secrets)] {
        for (file, environment) in [("labwire.yaml", environment), ("controller.yaml", &[])] {
            let folder = tempfile::tempdir().expect("a folder");
            let settings = serde_yaml::to_string(&chart.config(file)).expect("plain data");
            std::fs::write(folder.path().join("labwire.yaml"), settings).expect("a file");
            std::fs::create_dir(folder.path().join("keys")).expect("a folder");
            for id in ["2026-11", "2026-05"] {
                std::fs::write(
                    folder.path().join("keys").join(id),
                    "a key of at least thirty-two bytes, for a test",
                )
                .expect("a file");
            }
            run("chmod", &["-R", "a+rX", folder.path().to_str().expect("plain")]).expect_ok();
            let mount = format!("-v={}:/etc/labwire:ro", folder.path().display());
            let args = [
                &[mount.as_str(), "-e=LABWIRE_CONFIG=/etc/labwire/labwire.yaml"],
                environment,
            ]
            .concat();
            let read = docker(&args, &["check-config"]);
            assert!(read.ok, "{file}: {}", read.stderr);
        }
    }
}
