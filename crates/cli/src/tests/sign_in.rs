//! Getting a session, keeping it and ending it.

use super::*;

#[tokio::test]
async fn login_stores_the_session_and_logout_forgets_it() {
    let (stage, address) = Stage::open().await;
    let desk = Desk::at(&address);
    let run = desk.run(&LOGIN).await;
    assert_eq!((run.code, run.out.as_str()), (0, format!("Signed in to {address} as ada.\n").as_str()));
    let config = desk.config();
    assert_eq!(config["token"], "access-0");
    assert_eq!(config["refreshExpiresAt"], "2999-01-07T00:00:00.000Z");
    assert_eq!(config["username"], "you@example.com");
    assert_eq!(config["tokenOrigin"], address);
    assert_eq!(desk.run(&["logout"]).await.code, 0);
    assert_eq!(desk.config(), json!({"username": "you@example.com", "baseUrl": address}));
    assert_eq!(
        stage.seen().last().unwrap(),
        &("POST /api/v1/users/auth/logout".into(), "Bearer access-0".into())
    );
    let run = desk.run(&["projects", "list"]).await;
    assert_eq!(run.code, 1);
    assert!(run.err.contains("not signed in"), "{run:?}");
}

#[tokio::test]
async fn a_stored_session_is_sent_to_no_other_server() {
    let (_, address) = Stage::open().await;
    let (other, elsewhere) = Stage::open().await;
    let desk = Desk::at(&address);
    desk.run(&LOGIN).await;
    let run = desk.run(&["projects", "list", "--base-url", &elsewhere]).await;
    assert_eq!(run.code, 1);
    assert!(run.err.contains(&format!("the stored session is for {address}")), "{run:?}");
    assert_eq!(desk.run(&["ip", "get", "--base-url", &elsewhere]).await.code, 0);
    // A realm's host is the same server.
    assert_eq!(desk.run(&["projects", "list", "--realm", REALM]).await.code, 0);
    assert!(other.seen().iter().all(|(_, credential)| credential.is_empty()));
}

#[tokio::test]
async fn an_ended_session_is_refreshed_once_by_two_commands_at_once() {
    let (stage, address) = Stage::open().await;
    let desk = Desk::at(&address);
    desk.run(&LOGIN).await;
    let config = ConfigFile::locate(None, Some(desk.home.path().as_os_str()));
    config
        .update(|config| {
            config.section_mut(None).insert("expiresAt".into(), json!("2001-01-01T00:00:00.000Z"));
        })
        .await
        .unwrap();
    let line = ["projects", "list"];
    let (one, two, three) = tokio::join!(desk.run(&line), desk.run(&line), desk.run(&line));
    assert_eq!((one.code, two.code, three.code), (0, 0, 0), "{one:?} {two:?} {three:?}");
    assert_eq!(stage.refreshes.load(Ordering::SeqCst), 1);
    assert_eq!(desk.config()["token"], "access-1");
    assert_eq!(desk.config()["refreshToken"], "refresh-1");
}

#[tokio::test]
async fn a_session_that_the_server_refuses_is_refreshed_and_the_call_made_again() {
    let (stage, address) = Stage::open().await;
    let desk = Desk::at(&address);
    desk.run(&LOGIN).await;
    let config = ConfigFile::locate(None, Some(desk.home.path().as_os_str()));
    let set = async |key: &str, value: &str| {
        config
            .update(|config| {
                config.section_mut(None).insert(key.into(), json!(value));
            })
            .await
            .unwrap();
    };
    set("token", "stale").await;
    assert_eq!(desk.run(&["projects", "list"]).await.code, 0);
    assert_eq!(stage.refreshes.load(Ordering::SeqCst), 1);
    // A refresh token that the server does not know either: the session is over, and forgotten.
    set("token", "stale").await;
    set("refreshToken", "stale").await;
    let run = desk.run(&["projects", "list"]).await;
    assert!(run.code == 1 && run.err.contains("the session has ended"), "{run:?}");
    assert!(desk.config().get("token").is_none());
}

#[tokio::test]
async fn name_and_password_sign_in_for_one_command() {
    let (stage, address) = Stage::open().await;
    let desk = Desk::at(&address).with("HOODY_TOKEN", "hdy_bad");
    let file = desk.home.path().join("password");
    std::fs::write(&file, "correct horse\n").unwrap();
    let run = desk.run(&["-u", "ada", "--password-file", file.to_str().unwrap(), "projects", "list"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(stage.logins.load(Ordering::SeqCst), 1);
    assert!(!desk.home.path().join(".hoody/config.json").exists());
    let by_variable =
        Desk::at(&address).with("HOODY_USERNAME", "ada").with("HOODY_PASSWORD", "correct horse");
    assert_eq!(by_variable.run(&["projects", "list"]).await.code, 0);
    assert_eq!(stage.logins.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_profile_is_made_by_login_and_must_be_there_otherwise() {
    let (_, address) = Stage::open().await;
    let desk = Desk::at(&address);
    assert_eq!(desk.run(&["projects", "list", "--profile", "work"]).await.code, 10);
    let run = desk.run(&[&LOGIN[..], &["--profile", "work"]].concat()).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(desk.config()["profiles"]["work"]["token"], "access-0");
    assert_eq!(desk.run(&["projects", "list", "--profile", "work"]).await.code, 0);
    assert_eq!(desk.run(&["projects", "list"]).await.code, 1);
}

#[tokio::test]
async fn a_wrong_password_is_said_and_nothing_is_stored() {
    let (_, address) = Stage::open().await;
    let desk = Desk::at(&address);
    let run = desk.run(&["login", "--username", "ada", "--password", "canary horse"]).await;
    assert_eq!(run.code, 1);
    assert!(run.err.contains("INVALID_CREDENTIALS") && !run.err.contains("canary"), "{run:?}");
    assert!(!desk.home.path().join(".hoody").exists());
}

#[tokio::test]
async fn a_login_in_json_is_the_data_and_quiet_is_quiet() {
    let (_, address) = Stage::open().await;
    let desk = Desk::at(&address);
    let run = desk.run(&[&LOGIN[..], &["-o", "json", "-q"]].concat()).await;
    assert_eq!(serde_json::from_str::<Value>(&run.out).unwrap()["token"], "access-0");
    assert_eq!(run.err, "");
    let run = desk.run(&[&LOGIN[..], &["--print-token", "--no-save", "-q"]].concat()).await;
    assert_eq!(run.out, "access-0\n");
}

#[tokio::test]
async fn a_challenge_names_the_command_that_goes_on_and_stores_nothing() {
    let (_stage, address) = Stage::open().await;
    let desk = Desk::at(&address);
    let with_factor = ["auth", "login", "--username", "ada", "--password", "with a factor"];
    let run = desk.run(&with_factor).await;
    assert_eq!((run.code, run.out.as_str()), (2, ""), "{run:?}");
    assert!(run.err.contains("hoody auth 2fa verify --temp-token temp.to.ken --code CODE"), "{run:?}");
    assert!(!desk.home.path().join(".hoody/config.json").exists());
    // `login` cannot ask here, so it says the same; programs get the token.
    let run = desk.run(&["login", "--username", "ada", "--password", "with a factor", "-o", "json"]).await;
    assert_eq!(run.code, 2);
    let challenge: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(challenge["temp_token"], "temp.to.ken");
    // A name and a password alone sign nobody in for one command.
    let run = desk.run(&["projects", "list", "--username", "ada", "--password", "with a factor"]).await;
    assert_eq!(run.code, 1);
    assert!(run.err.contains("second factor"), "{run:?}");

    let run = desk.run(&["auth", "2fa", "verify", "--temp-token", "temp.to.ken", "--code", "000000"]).await;
    assert_eq!(run.code, 1, "{run:?}");
    let run = desk.run(&["auth", "2fa", "verify", "--temp-token", "temp.to.ken", "--code", "123456"]).await;
    assert_eq!((run.code, run.out.contains("as ada")), (0, true), "{run:?}");
    assert_eq!(desk.config()["token"], "access-0");
}

#[tokio::test]
async fn a_wrong_code_is_sent_once_and_the_session_left_alone() {
    let (stage, address) = Stage::open().await;
    let desk = Desk::at(&address);
    assert_eq!(desk.run(&LOGIN).await.code, 0);
    let disable = ["auth", "2fa", "disable", "--password", "correct horse", "--code", "000000"];
    let run = desk.run(&disable).await;
    assert_eq!((run.code, run.err.contains("INVALID_OTP_CODE")), (1, true), "{run:?}");
    let asked = |stage: &Stage| stage.seen().iter().filter(|(route, _)| route.starts_with("DELETE")).count();
    assert_eq!((asked(&stage), stage.refreshes.load(Ordering::SeqCst)), (1, 0));
    // The password was for the command, not for signing in.
    assert_eq!(stage.logins.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_session_that_turning_it_on_gives_is_kept() {
    let (_stage, address) = Stage::open().await;
    let desk = Desk::at(&address);
    assert_eq!(desk.run(&LOGIN).await.code, 0);
    let run = desk.run(&["auth", "2fa", "verify-setup", "--code", "123 456"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(
        (&desk.config()["token"], &desk.config()["refreshToken"]),
        (&json!("access-1"), &json!("refresh-1"))
    );
    assert_eq!(desk.run(&["projects", "list"]).await.code, 0);
}
