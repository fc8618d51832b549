//! The agents of the seeds, which make a container, run commands in it and take a snapshot, and the lines of their
//! workflow, as they stand but for what [`REPLACED`] lists. They run against a real container engine: the one that
//! `HOODY_TEST_ENGINE` names (`./test` starts one with `tools/engine`).

use std::path::Path;
use std::time::Duration;

use http::StatusCode;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Client, PASSWORD, Place, Ran, Running, Server, eventually, finish};

const WORKFLOW: &str = include_str!("agents/workflow.mjs.txt");
const AGENT: &str = include_str!("agents/agent.mjs.txt");
const AGENT_ENV: &str = include_str!("agents/agent.env.txt");
const ACTIONS: &str = include_str!("agents/actions.yml.txt");

/// Everything that is replaced, and why.
const REPLACED: [(&str, &str, &str); 5] = [
    ("https://api.hoody.icu", "http://api.localhost:{PORT}", "scheme, host and port of the API"),
    ("`https://${", "`http://${", "scheme of a terminal"),
    (".containers.hoody.icu", ".containers.localhost:{PORT}", "host and port of terminals"),
    ("hdy_abc123def456...", "{TOKEN}", "secret: the token"),
    ("63f8b0e5c9a1b2d3e4f5a6b7", "{PROJECT}", "id: the project"),
];

/// The names that the first agent uses and does not define.
const SUPPLIED: &str = "
const projectId = process.env.PROJECT;
const task = { id: 7, command: 'echo done > /workspace/result; cat /workspace/result' };
async function waitForStatus(id, wanted) {
    for (let n = 0; n < 200; n++) {
        const answer = await fetch(`${process.env.API}/api/v1/containers/${id}`,
            { headers: { Authorization: `Bearer ${process.env.HOODY_TOKEN}` } });
        const { data } = await answer.json();
        if (data.status === wanted) return data;
        if (data.status === 'failed') throw new Error(data.status_reason);
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`${id} is not ${wanted}`);
}
";

/// Node does not resolve names below `localhost`.
const LOCALHOST: &str = "import dns from 'node:dns';
const lookup = dns.lookup;
dns.lookup = (name, options, done) =>
    lookup(name.endsWith('.localhost') ? '127.0.0.1' : name, options, done);
";

/// A command, and perhaps the shell that runs it.
fn is_there(count: &str) -> Option<()> {
    matches!(count, "1" | "2").then_some(())
}

/// Where the engine is; `None` where there is none, a failure in CI.
fn engine() -> Option<String> {
    let engine = std::env::var("HOODY_TEST_ENGINE").ok();
    if engine.is_none() {
        assert!(std::env::var_os("CI").is_none(), "CI must run the agents on a container engine: use ./test");
        eprintln!("skipped: HOODY_TEST_ENGINE names no container engine (./test starts one)");
    }
    engine
}

/// A server with the engine, Ada, her project and a token of hers.
struct Stage {
    place: Place,
    /// `None` between two runs.
    server: Option<Server>,
    ada: Client,
    project: String,
    token: String,
}

impl Stage {
    async fn open(engine: &str) -> Self {
        let place = Place::sqlite();
        let server = Server::start(Self::command(&place, engine)).await;
        let create = ["admin", "users", "create", "ada", "--email", "ada@example.com", "--password-stdin"];
        place.run_with(&create, PASSWORD).await.ended(0);
        let ada = server.client().login("ada", PASSWORD).await;
        let project = ada.post("/api/v1/projects", json!({ "alias": "agents" })).await;
        let project = project.text_at("/data/id").to_owned();
        let (_, agent) = ada.mint(json!({ "alias": "agent", "permission_template": "dev_team" })).await;
        let token = agent.credential.unwrap();
        std::fs::write(place.path("localhost.mjs"), LOCALHOST).unwrap();
        let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/node/node_modules");
        std::os::unix::fs::symlink(modules, place.path("node_modules")).unwrap();
        Self { place, server: Some(server), ada, project, token }
    }

    fn command(place: &Place, engine: &str) -> std::process::Command {
        let mut command = place.hoody(&["serve", "--listen", "127.0.0.1:0", "--container-engine", engine]);
        command.args(["--container-image", "debian/13=localhost/hoody-test"]);
        // The ids that the seeds have in the place of one's own.
        command.args(["--container-server", "local,your-server-id,server-123"]);
        command
    }

    fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    fn filled(&self, text: &str) -> String {
        let text = REPLACED.iter().fold(text.to_owned(), |text, (from, to, _)| text.replace(from, to));
        let text = text.replace("{PORT}", &self.server().port().to_string());
        text.replace("{TOKEN}", &self.token).replace("{PROJECT}", &self.project)
    }

    /// Runs a script with node; what it printed.
    async fn node(&self, name: &str, script: &str) -> String {
        std::fs::write(self.place.path(name), script).unwrap();
        let mut node = self.place.command("node");
        node.args(["--import", "./localhost.mjs", name]);
        node.env("PROJECT", &self.project);
        node.env("API", format!("http://api.localhost:{}", self.server().port()));
        if name == "workflow.mjs" {
            node.env("HOODY_TOKEN", &self.token);
        }
        let ran = finish(node, "").await;
        ran.ended(0);
        ran.stdout
    }

    async fn open_terminals(&self) {
        let path = format!("/api/v1/projects/{}/proxy/permissions/default", self.project);
        let opened = self.ada.send(Method::PATCH, &path, Some(json!({ "default": "allow" }))).await;
        opened.expect(StatusCode::OK);
    }

    async fn shown(&self, id: &str) -> Value {
        self.ada.get(&format!("/api/v1/containers/{id}")).await.body["data"].clone()
    }

    async fn until(&self, id: &str, status: &str) {
        let reached = async || (self.shown(id).await["status"] == status).then_some(());
        eventually(status, Duration::from_secs(20), reached).await;
    }

    /// A container that runs; its id.
    async fn running(&self, name: &str) -> String {
        let path = format!("/api/v1/projects/{}/containers", self.project);
        let made = self.ada.post(&path, json!({ "name": name, "server_id": "local" })).await;
        made.expect(StatusCode::CREATED);
        let id = made.text_at("/data/id").to_owned();
        self.until(&id, "running").await;
        id
    }

    /// Runs `hoody` as Ada's token.
    async fn hoody(&self, arguments: &[&str]) -> Ran {
        let mut command = self.place.hoody(arguments);
        command.env("HOODY_BASE_URL", &self.server().base).env("HOODY_TOKEN", &self.token);
        finish(command, "").await
    }

    /// How many processes of a container have such a command line.
    async fn count(&self, container: &str, pattern: &str) -> String {
        let script = format!("ps | grep -c '{pattern}'");
        let ran = self.hoody(&["containers", "exec", container, "--", "sh", "-c", &script]).await;
        ran.stdout.trim().to_owned()
    }

    async fn close(self) {
        let path = format!("/api/v1/projects/{}/containers", self.project);
        let listed = self.ada.get(&path).await;
        for container in listed.body["data"]["containers"].as_array().unwrap() {
            let path = format!("/api/v1/containers/{}", container["id"].as_str().unwrap());
            self.ada.send(Method::DELETE, &path, None).await.expect(StatusCode::OK);
        }
        self.server.unwrap().stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_agent_of_the_seeds_runs_as_it_stands() {
    let Some(engine) = engine() else { return };
    let stage = Stage::open(&engine).await;
    stage.open_terminals().await;
    let script = format!(
        "{SUPPLIED}\n{}\nconst made = await aiAgentWorkflow(task);\nconsole.log(made.data.id);\n",
        stage.filled(WORKFLOW)
    );
    let id = stage.node("workflow.mjs", &script).await.trim().to_owned();
    let snapshots = stage.ada.get(&format!("/api/v1/containers/{id}/snapshots")).await;
    assert_eq!(snapshots.body["data"]["snapshots"][0]["alias"], "task-7", "{}", snapshots.body);
    assert!(snapshots.body["data"]["snapshots"][0]["size"].as_u64().unwrap() > 1_000_000);
    // The command of the task ran where it should.
    let ran = stage.hoody(&["containers", "exec", &id, "--", "cat", "/workspace/result"]).await;
    ran.ended(0);
    assert_eq!(ran.stdout, "done\n");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_agent_of_the_seeds_runs_as_it_stands() {
    let Some(engine) = engine() else { return };
    let stage = Stage::open(&engine).await;
    stage.open_terminals().await;
    std::fs::write(stage.place.path(".env"), stage.filled(AGENT_ENV)).unwrap();
    // The seeds define a method that they do not call: the lines after theirs call it.
    let calls = "
const listed = await agent.callAPI(`/api/v1/projects/${agent.projectId}/containers`).then((r) => r.json());
const id = listed.data.containers.find((one) => one.name === 'ai-workspace').id;
for (let n = 0; n < 200; n++) {
    const one = await agent.callAPI(`/api/v1/containers/${id}`).then((r) => r.json());
    if (one.data.status === 'running') break;
    await new Promise((resolve) => setTimeout(resolve, 50));
}
const ran = await agent.executeInContainer(id, 'echo hello from $HOSTNAME; exit 3').then((r) => r.json());
console.log(JSON.stringify(ran));
";
    let printed = stage.node("agent.mjs", &format!("{}\n{calls}", stage.filled(AGENT))).await;
    let ran: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&ran["status"], &ran["exit_code"]), (&json!("completed"), &json!(3)), "{printed}");
    assert!(ran["stdout"].as_str().unwrap().starts_with("hello from"), "{printed}");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lines_of_the_workflow_start_a_container() {
    let Some(engine) = engine() else { return };
    let stage = Stage::open(&engine).await;
    let id = stage.running("web").await;
    stage.hoody(&["containers", "stop", "web"]).await.ended(0);
    assert_eq!(stage.shown(&id).await["status"], "stopped");
    let lines = ACTIONS.lines().skip_while(|line| !line.starts_with("# run:")).skip(1);
    let lines: Vec<_> = lines.map(|line| line.trim_start_matches("# ")).collect();
    assert!(lines[0].starts_with("curl "), "{lines:?}");
    let mut bash = stage.place.command("bash");
    bash.args(["-c", &stage.filled(&lines.join("\n"))]);
    bash.env("CONTAINER_ID", &id).env("HOODY_TOKEN", &stage.token);
    let ran = finish(bash, "").await;
    ran.ended(0);
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(answer["data"]["status"], "running", "{}", ran.stdout);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_snapshots_and_limits_work_on_a_real_engine() {
    let Some(engine) = engine() else { return };
    let stage = Stage::open(&engine).await;
    let project = stage.project.clone();
    let create =
        ["containers", "create", "--project", &project, "--name", "web", "--env", "GREETING=hi", "--wait"];
    stage.hoody(&create).await.ended(0);
    let exec = async |script: &str| {
        stage.hoody(&["containers", "exec", "web", "--timeout", "5", "--", "sh", "-c", script]).await
    };
    let ran = exec("echo $GREETING; id -u; echo oops >&2; exit 7").await;
    ran.ended(7);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("hi\n1000\n", "oops\n"));
    // No capability, no network but its own, no way to gain a privilege.
    let ran = exec("grep -E '^(CapEff|NoNewPrivs)' /proc/self/status; ls /sys/class/net").await;
    assert_eq!(ran.stdout, "CapEff:\t0000000000000000\nNoNewPrivs:\t1\nlo\n");
    let ran = exec("head -c 3000000 /dev/zero | wc -c; exec sleep 100").await;
    ran.ended(1);
    ran.saying(&["took too long"]);
    let ran = exec("ps | grep -c '[s]leep 100'").await;
    assert_eq!(ran.stdout, "0\n", "it was killed");

    stage
        .hoody(&["containers", "exec", "web", "--", "sh", "-c", "echo one > /workspace/file"])
        .await
        .ended(0);
    stage.hoody(&["snapshots", "create", "web", "--alias", "one"]).await.ended(0);
    let listed = stage.hoody(&["snapshots", "list", "web", "-o", "json"]).await;
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    let name = listed["snapshots"][0]["name"].as_str().unwrap().to_owned();
    stage.hoody(&["containers", "exec", "web", "--", "rm", "/workspace/file"]).await.ended(0);
    stage.hoody(&["snapshots", "restore", "web", &name, "--yes"]).await.ended(0);
    let ran = stage.hoody(&["containers", "exec", "web", "--", "cat", "/workspace/file"]).await;
    assert_eq!(ran.stdout, "one\n", "{ran:?}");
    let stats = stage.hoody(&["containers", "stats", "web", "-o", "json"]).await;
    let stats: Value = serde_json::from_str(&stats.stdout).unwrap();
    assert!(stats["processes"].as_u64().unwrap() >= 1, "{stats}");
    stage.hoody(&["snapshots", "delete", "web", &name, "--yes"]).await.ended(0);
    stage.hoody(&["containers", "delete", "web", "--yes"]).await.ended(0);
    let listed = stage.hoody(&["containers", "list"]).await;
    assert!(listed.text().contains("No containers"), "{listed:?}");
    stage.close().await;
}

/// A fork bomb ends with its command, or with its container; hoody and the engine go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fork_bomb_and_a_command_whose_caller_leaves_end() {
    let Some(engine) = engine() else { return };
    let stage = Stage::open(&engine).await;
    stage.running("bomb").await;
    let bomb = [
        "containers",
        "exec",
        "bomb",
        "--timeout",
        "2",
        "--",
        "sh",
        "-c",
        "exec 2>/dev/null; f() { f | f & }; f; sleep 60",
    ];
    stage.hoody(&bomb).await.ended(1);
    // Where the bomb left no process for its end, the container was killed, and starts again.
    let works = async || {
        (stage.hoody(&["containers", "exec", "bomb", "--", "true"]).await.code == Some(0)).then_some(())
    };
    eventually("the container works", Duration::from_secs(25), works).await;
    // The caller is killed while its command runs.
    let mut command =
        stage.place.hoody(&["containers", "exec", "bomb", "--timeout", "600", "--", "sleep", "500"]);
    command.env("HOODY_BASE_URL", &stage.server().base).env("HOODY_TOKEN", &stage.token);
    let caller = Running::start(command, "");
    let count = async || {
        let ran = stage
            .hoody(&["containers", "exec", "bomb", "--", "sh", "-c", "ps | grep -c '[s]leep 500'"])
            .await;
        ran.stdout.trim().to_owned()
    };
    eventually("the command runs", Duration::from_secs(20), async || is_there(&count().await)).await;
    drop(caller);
    eventually("the command ends", Duration::from_secs(20), async || (count().await == "0").then_some(()))
        .await;
    stage.close().await;
}

/// A kill of hoody while it makes containers leaves none without its row, and no row without its container.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_leaves_no_container_and_no_row_over() {
    let Some(engine) = engine() else { return };
    let mut stage = Stage::open(&engine).await;
    let path = format!("/api/v1/projects/{}/containers", stage.project);
    for pause in [0, 40, 120] {
        let name = format!("k-{pause}");
        let made = stage.ada.post(&path, json!({ "name": name, "server_id": "local" })).await;
        let id = made.text_at("/data/id").to_owned();
        tokio::time::sleep(Duration::from_millis(pause)).await;
        stage.server.take().unwrap().kill().await;
        stage.server = Some(Server::start(Stage::command(&stage.place, &engine)).await);
        stage.ada = stage.server().client().login("ada", PASSWORD).await;
        stage.until(&id, "running").await;
    }
    // A command that nobody reads any more ends, too.
    let mut command =
        stage.place.hoody(&["containers", "exec", "k-0", "--timeout", "600", "--", "sleep", "700"]);
    command.env("HOODY_BASE_URL", &stage.server().base).env("HOODY_TOKEN", &stage.token);
    let caller = Running::start(command, "");
    eventually("the command runs", Duration::from_secs(20), async || {
        is_there(&stage.count("k-0", "[s]leep 700").await)
    })
    .await;
    stage.server.take().unwrap().kill().await;
    caller.finish().await.ended(1);
    stage.server = Some(Server::start(Stage::command(&stage.place, &engine)).await);
    stage.ada = stage.server().client().login("ada", PASSWORD).await;
    eventually("the command ends", Duration::from_secs(20), async || {
        (stage.count("k-0", "[s]leep 700").await == "0").then_some(())
    })
    .await;
    stage.close().await;
}

/// The table says no more than what is needed, and why.
#[test]
fn every_replacement_is_needed_and_explained() {
    let seeds = [WORKFLOW, AGENT, AGENT_ENV, ACTIONS].concat();
    for (from, _, why) in REPLACED {
        assert!(seeds.contains(from) && !why.is_empty(), "{from}");
    }
}
