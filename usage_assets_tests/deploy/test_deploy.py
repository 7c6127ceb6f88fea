"""The files in deploy/ are valid where they are used, and name only what exists. `make image` starts them."""

import importlib
import itertools
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from datetime import timedelta
from importlib.metadata import entry_points
from itertools import chain
from pathlib import Path
from typing import Any

import kubernetes_validate
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from usage_assets.config.settings import Settings
from usage_assets.core.warehouse_address import LAKE
from usage_assets_lake.warehouse import Lake
from usage_assets_tests.deploy.image import environment_of
from usage_assets_tests.deploy.reading import DEPLOY, POSTGRES_BIN, ROOT, UNITS, containers, from_image, loaded, units
from usage_assets_tests.postgres import running_postgres
from usage_assets_tests.warehouse.samples import sample, write

BIN = Path(sys.executable).parent
COMPOSE = loaded("compose.yaml")
VALUES = loaded("helm-values.yaml")
SERVICES = from_image(COMPOSE)
OF_OTHERS = {
    *("AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_SECRET_ACCESS_KEY"),
    *("DAGSTER_GRPC_MAX_WORKERS", "DAGSTER_HOME", "DAGSTER_PG_PASSWORD", "DAGSTER_POSTGRES_URL", "PGPASSWORD"),
}
"""Variables that DuckDB, Dagster and PostgreSQL's client read."""
KNOWN = {name.upper() for name in Settings.model_fields} | OF_OTHERS
COMMANDS = {
    **{f"compose.yaml {name}": service["command"] for name, service in SERVICES.items()},
    **{f"compose.yaml {name}, health": service["healthcheck"]["test"][1:] for name, service in SERVICES.items()},
    **{name: unit["ExecStart"][0].split() for name, unit in units().items()},
}
EXPOSURE = 20
"""Tenths of what `systemd-analyze security` calls exposure: 100 is a unit without any protection."""


def ran(*command: str | Path, **variables: str) -> str:
    """What a command says that must succeed."""
    environment = {**os.environ, **variables}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


# The image


def test_the_dockerfile_has_no_known_mistake() -> None:
    ran(BIN / "hadolint", DEPLOY / "Dockerfile")


def test_the_image_installs_extras_that_exist_and_copies_files_that_the_build_sees() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    seen = {line.removeprefix("!") for line in (DEPLOY / "Dockerfile.dockerignore").read_text().split()[1:]}
    copied = [
        line.split()[1:-1] for line in dockerfile.splitlines() if line.startswith("COPY") and "--from" not in line
    ]
    assert {*chain(*copied)} == seen - {"**/__pycache__"}
    assert all((ROOT / name).exists() for name in chain(*copied))


# compose.yaml


def test_docker_compose_can_read_the_file() -> None:
    ran(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")


def test_a_service_has_no_privilege_and_says_whether_it_is_healthy() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    for name, service in COMPOSE["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service.get("cap_add") == (["DAC_OVERRIDE"] if name == "objects" else None), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert name not in SERVICES or service["user"] in dockerfile, name
        assert name in SERVICES or ":" in service["image"], f"{name}: others' images have a version"


def test_only_the_ui_is_published_on_loopback_and_only_the_code_server_has_keys_and_reaches_providers() -> None:
    services = COMPOSE["services"]
    assert {name: service["ports"] for name, service in services.items() if "ports" in service} == {
        "web": ["127.0.0.1:3000:3000"]
    }
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    assert [name for name, service in services.items() if "providers" in service["networks"]] == ["code"]
    assert [name for name, service in services.items() if "env_file" in service] == ["code"]


def test_a_service_gets_the_secrets_that_it_needs_and_no_other() -> None:
    """The web server and the daemon cannot read the lake, and nothing but PostgreSQL itself may do everything there."""
    secrets = {
        name: set(re.findall(r"\$\{(\w+)_PASSWORD", str(service["environment"])))
        for name, service in COMPOSE["services"].items()
    }
    assert secrets == {
        "code": {"DAGSTER", "LAKE", "OBJECT_STORE"},
        "daemon": {"DAGSTER"},
        "web": {"DAGSTER"},
        "postgres": {"POSTGRES", "DAGSTER", "LAKE"},
        "objects": {"OBJECT_STORE"},
    }
    assert SERVICES["code"]["env_file"] == "keys", "and not .env, which has all passwords"


def test_each_role_has_a_database_of_its_own(tmp_path: Path) -> None:
    with running_postgres() as server:
        place = conninfo_to_dict(server)
        variables = {"POSTGRES_USER": "postgres", "PGHOST": str(place["host"])}
        variables |= {"DAGSTER_PASSWORD": "it's one", "LAKE_PASSWORD": "another"}
        ran("sh", DEPLOY / "postgres.sh", PATH=f"{POSTGRES_BIN}:{os.environ['PATH']}", **variables)
        with psycopg.connect(server) as session:
            roles = session.execute("select rolname, rolsuper from pg_roles where rolname in ('dagster', 'usage')")
            assert set(roles.fetchall()) == {("dagster", False), ("usage", False)}
        may_connect = {
            (role, database)
            for role in ("dagster", "usage")
            for database in ("dagster", "usage", "postgres")
            if connects(f"host={place['host']} user={role} dbname={database}")
        }
        assert may_connect == {("dagster", "dagster"), ("usage", "usage")}
        lake = Lake(database=f"{LAKE}host={place['host']} user=usage dbname=usage", data=str(tmp_path / "lake"))
        write(lake, [sample()])
        lake.maintain(timedelta(0))
        lake.detach()


def connects(address: str) -> bool:
    try:
        psycopg.connect(address).close()
    except psycopg.OperationalError:
        return False
    return True


def test_the_services_share_names_files_and_volumes_that_exist() -> None:
    services, workspace = COMPOSE["services"], loaded("workspace.yaml")
    [location] = [entry["grpc_server"] for entry in workspace["load_from"]]
    assert location["host"] in services
    assert str(location["port"]) in services[location["host"]]["command"]
    known = {*COMPOSE["volumes"], "/tmp", "./dagster.postgres.yaml"}
    for service in services.values():
        sources = {volume.partition(":")[0] for volume in service.get("volumes", ())}
        assert all(source in known or (DEPLOY / source).is_file() for source in sources)


def test_what_make_image_starts_has_every_variable_as_text() -> None:
    """Compose takes numbers, too."""
    for service in COMPOSE["services"].values():
        variables = environment_of(service, {}, defaultdict(lambda: "secret"))
        assert {type(value) for value in variables.values()} <= {str}
        assert "$" not in "".join(variables.values())


def test_compose_names_only_variables_that_the_product_reads_and_docs_explain() -> None:
    assert {*chain(*(service["environment"] for service in SERVICES.values()))} <= KNOWN
    page = (ROOT / "docs/deploy.md").read_text()
    needed = set(re.findall(r"\$\{(\w+)_PASSWORD", (DEPLOY / "compose.yaml").read_text()))
    assert needed == {"DAGSTER", "LAKE", "OBJECT_STORE", "POSTGRES"}
    assert f"for name in {' '.join(sorted(needed))}; do" in page
    assert KNOWN.isdisjoint(f"{name}_PASSWORD" for name in needed)


# Commands


def options_by_command() -> dict[tuple[str, ...], set[str]]:
    """The options that each command of a program is given, wherever it is started."""
    found: dict[tuple[str, ...], set[str]] = {}
    for program, *words in COMMANDS.values():
        command = (Path(program).name, *itertools.takewhile(lambda word: not word.startswith("-"), words))
        found.setdefault(command, set()).update(word for word in words if word.startswith("--"))
    return {command: options for command, options in found.items() if command[0] != "python3"}


@pytest.mark.parametrize("command", options_by_command(), ids=" ".join)
def test_a_command_and_its_options_exist(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [script] = entry_points(group="console_scripts", name=command[0])
    monkeypatch.setattr(sys, "argv", [*command, "--help"])
    mask = os.umask(0o077)
    try:
        with pytest.raises(SystemExit):
            script.load()()
    finally:
        os.umask(mask)
    said = capsys.readouterr().out
    assert all(option in said for option in options_by_command()[command])


# helm-values.yaml


def test_every_pod_runs_our_image_without_privileges_and_its_secrets_are_references() -> None:
    for container in containers(VALUES):
        assert container["image"] == VALUES["dagsterWebserver"]["image"]
        assert container["podSecurityContext"]["runAsNonRoot"]
        assert container["podSecurityContext"]["runAsUser"] == 10001
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["resources"].keys() == {"requests", "limits"}
        assert {entry["name"] for entry in container["env"]} <= KNOWN
        stated = {entry["name"] for entry in container["env"] if "value" in entry}
        assert stated <= {
            "DAGSTER_GRPC_MAX_WORKERS",
            "DAGSTER_POSTGRES_URL",
            "USAGE_WAREHOUSE",
            "USAGE_WAREHOUSE_DATA",
            "AWS_REGION",
        }
    of = {
        name: {ref["name"] for entry in VALUES[name]["env"] if (ref := entry.get("valueFrom", {}).get("secretKeyRef"))}
        for name in ("dagsterWebserver", "dagsterDaemon")
    }
    assert of == {"dagsterWebserver": {"usage-logs"}, "dagsterDaemon": {"usage-logs"}}, "nothing that opens the lake"
    bucket = VALUES["computeLogManager"]["config"]["s3ComputeLogManager"]["bucket"]
    [code] = VALUES["dagster-user-deployments"]["deployments"]
    [lake] = [entry["value"] for entry in code["env"] if entry["name"] == "USAGE_WAREHOUSE_DATA"]
    assert not lake.startswith(f"s3://{bucket}/")
    text = (DEPLOY / "helm-values.yaml").read_text()
    assert not VALUES["generatePostgresqlPasswordSecret"]
    assert "postgresqlPassword:" not in text


def test_the_chart_and_the_storages_name_one_database() -> None:
    database = VALUES["postgresql"]
    urls = {entry["value"] for container in containers(VALUES) for entry in container["env"] if "URL" in entry["name"]}
    user, host, name = (database[f"postgresql{what}"] for what in ("Username", "Host", "Database"))
    assert urls == {f"postgresql+psycopg2://{user}@{host}/{name}"}


def test_the_chart_gets_the_storages_of_dagster_postgres_yaml() -> None:
    ours = {name: entry for name, entry in VALUES["additionalInstanceConfig"].items() if name.endswith("_storage")}
    assert ours.keys() == {"event_log_storage", "run_storage", "schedule_storage"}
    for file in DEPLOY.glob("dagster.*.yaml"):
        stated = loaded(file.name)["storage"]["custom"]
        for storage in ours.values():
            assert (storage["module"], storage["config"]) == (stated["module"], stated["config"])
            assert hasattr(importlib.import_module(storage["module"]), storage["class"])


def job_of_a_run() -> dict[str, Any]:
    """What dagster-k8s posts for a run, configured as the chart configures launcher and code location."""
    # each worker would import them, which takes 1 s
    from dagster_k8s.container_context import K8sContainerContext  # noqa: PLC0415
    from dagster_k8s.job import DagsterK8sJobConfig, construct_dagster_k8s_job  # noqa: PLC0415
    from kubernetes.client import ApiClient  # noqa: PLC0415

    launcher = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
    [location] = VALUES["dagster-user-deployments"]["deployments"]
    of_launcher = {
        "image_pull_policy": launcher["imagePullPolicy"],
        "security_context": launcher["securityContext"],
        "run_k8s_config": {"job_spec_config": launcher["runK8sConfig"]["jobSpecConfig"]},
    }
    of_location = {
        "env": location["env"],
        "env_secrets": [secret["name"] for secret in location["envSecrets"]],
        "volumes": location["volumes"],
        "volume_mounts": location["volumeMounts"],
        "resources": location["resources"],
        "run_k8s_config": {"pod_spec_config": {"security_context": location["podSecurityContext"]}},
    }
    context = K8sContainerContext.create_from_config({"k8s": of_launcher}).merge(
        K8sContainerContext.create_from_config({"k8s": of_location})
    )
    image = location["image"]
    config = DagsterK8sJobConfig(
        job_image=f"{image['repository']}:{image['tag']}",
        dagster_home=VALUES["global"]["dagsterHome"],
        instance_config_map="usage-dagster-instance",
        postgres_password_secret=VALUES["global"]["postgresqlSecretName"],
        **{name: value for name, value in context._asdict().items() if name in DagsterK8sJobConfig._fields},
    )
    job = construct_dagster_k8s_job(
        config, ["dagster", "api", "execute_run", "{}"], "dagster-run-1", context.run_k8s_config
    )
    posted: dict[str, Any] = ApiClient().sanitize_for_serialization(job)
    return posted


def test_a_run_is_a_pod_without_privileges_that_kubernetes_accepts() -> None:
    job = job_of_a_run()
    kubernetes_validate.validate(job, "1.33", strict=True)
    pod = job["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert job["spec"]["ttlSecondsAfterFinished"] == 86400
    assert pod["securityContext"]["runAsUser"] == 10001
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["resources"]["limits"] == {"memory": "2Gi"}
    assert {"secretRef": {"name": "usage-assets"}} in container["envFrom"]
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {"/tmp": "tmp", "/srv/usage/dagster": "home", "/srv/usage/data": "data"}
    assert {volume["name"] for volume in pod["volumes"]} == {*mounts.values()}
    own = {entry["name"]: entry for entry in container["env"]}
    assert own["DAGSTER_PG_PASSWORD"]["valueFrom"]["secretKeyRef"]["name"] == VALUES["global"]["postgresqlSecretName"]


# systemd


def test_a_unit_has_few_privileges_and_reads_secrets_from_files_of_root() -> None:
    for name in units():
        unit = units()[name]
        assert [unit[setting] for setting in ("User", "ProtectSystem", "NoNewPrivileges", "UMask")] == [
            ["usage"],
            ["strict"],
            ["yes"],
            ["0077"],
        ]
        assert unit["StateDirectoryMode"] == ["0700"]
        assert unit["Restart"] == ["on-failure"]
        has_keys = "/etc/usage-assets/keys" in unit["EnvironmentFile"]
        assert has_keys == (name in ("usage-assets.service", "usage-code.service"))
        variables = {word.partition("=")[0] for line in unit["Environment"] for word in line.split()}
        assert variables <= KNOWN | {"HOME", "PATH"}


def test_systemd_accepts_the_units_and_finds_them_well_protected(tmp_path: Path) -> None:
    shutil.copytree(UNITS, tmp_path, dirs_exist_ok=True)
    names = sorted(units())
    for name in names:
        unit = tmp_path / name
        unit.write_text(unit.read_text().replace("/opt/usage-assets/bin", str(BIN)))
    if shutil.which("systemd-analyze"):
        folders = f"{tmp_path}:"  # and those of systemd
        assert "usage-" not in ran("systemd-analyze", "verify", *names, SYSTEMD_UNIT_PATH=folders)
        security = ("systemd-analyze", "security", "--offline=yes", f"--threshold={EXPOSURE}")
        ran(*security, *names, SYSTEMD_UNIT_PATH=folders)
