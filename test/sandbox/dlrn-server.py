"""The real DLRN API server, seeded and throw-away: `dlrn-server.py CONFIG.json`.

CONFIG has port, directory, username, password, labels, and branches: each a
prefix (`/api-centos9-wallaby`), a repository (`/centos9-wallaby`) and how many
aggregate hashes it gets. All branches are served by this one process, each
with its own database and repository. DLRN computes the hashes itself: for each
of them commits are put on disk and promoted through POST /api/promote-batch.

Once it listens, directory/ready.json maps each prefix to its hashes, newest
first.
"""

import contextvars
import hashlib
import json
import logging
import os
import sys
import time

from flask import Config
from passlib.hash import sha512_crypt
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.shared_data import SharedDataMiddleware
from werkzeug.serving import WSGIRequestHandler, make_server

from dlrn.api import app
from dlrn.db import Commit, Promotion, User, closeSession, getSession
from dlrn.drivers.pkginfo import PkgInfoDriver

COMPONENTS = ("common", "tripleo")

# DLRN's default of 656000 rounds takes a fifth of a second for every POST.
PASSWORD_ROUNDS = 1000


class SeededDriver(PkgInfoDriver):
    """The package list that projects.ini names: one package a component."""

    def getpackages(self, **_):
        return [{"name": f"openstack-{component}", "component": component,
                 "upstream": "https://example.invalid/upstream",
                 "master-distgit": "https://example.invalid/distgit",
                 "maintainers": ["ci@example.invalid"]}
                for component in COMPONENTS]


class BranchConfig(Config):
    """DLRN's application reads its settings at each request: answer with
    those of the branch that the request is for."""

    current = contextvars.ContextVar("branch")

    def __getitem__(self, key):
        settings = self.current.get({})
        return settings[key] if key in settings else super().__getitem__(key)


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as out:
        out.write(text)


def make_branch(directory, base_url, config):
    """The branch's settings, with its database and its one user made."""
    repositories = os.path.join(directory, "data", "repos")
    database = f"sqlite:///{directory}/commits.sqlite?timeout=30"
    projects = os.path.join(directory, "projects.ini")
    write(projects, f"""[DEFAULT]
datadir={directory}/data
scriptsdir={directory}/scripts
baseurl={base_url}
distro=rpm-master
source=master
target=centos9
reponame=delorean
smtpserver=
gerrit=
maxretries=1
use_components=true
pkginfo_driver=__main__.SeededDriver
database_connection={database}
""")
    session = getSession(database)
    session.add(User(
        username=config["username"],
        password=sha512_crypt.using(rounds=PASSWORD_ROUNDS).hash(
            config["password"])))
    session.commit()
    closeSession(session)
    return {"DB_PATH": database, "REPO_PATH": repositories,
            "CONFIG_FILE": projects}


def add_commits(session, repositories, base_url, seed, built):
    """One commit a component, with the repository file that DLRN's build of
    it would leave."""
    def sha1(text):
        return hashlib.sha1(f"{text} {seed} {component}".encode()).hexdigest()

    commits = []
    for component in COMPONENTS:
        commit = Commit(
            type="rpm", project_name=f"openstack-{component}",
            repo_dir="/nonexistent", distgit_dir="/nonexistent",
            commit_hash=sha1("commit"), distro_hash=sha1("distro"),
            extended_hash=f"{sha1('first')}_{sha1('second')}",
            commit_branch="master", status="SUCCESS", component=component,
            dt_commit=built, dt_distro=built, dt_extended=0, dt_build=built,
            flags=0, notes="OK", artifacts="")
        session.add(commit)
        session.flush()
        where = commit.getshardedcommitdir()
        write(os.path.join(repositories, where, "delorean.repo"),
              f"[delorean-component-{component}]\n"
              f"name=delorean-{component}\nbaseurl={base_url}/{where}\n"
              "enabled=1\ngpgcheck=0\npriority=1\n")
        commits.append({"commit_hash": commit.commit_hash,
                        "distro_hash": commit.distro_hash,
                        "extended_hash": commit.extended_hash})
    session.commit()
    return commits


def seed_branch(settings, branch, base_url, config):
    """Promotes one set of commits a hash, an hour apart; newest first."""
    client = app.test_client()
    now = int(time.time())
    hashes = []
    for hours_ago in reversed(range(branch["hashes"])):
        promoted = now - 3600 * hours_ago
        session = getSession(settings["DB_PATH"])
        commits = add_commits(session, settings["REPO_PATH"], base_url,
                              f"{branch['prefix']} {hours_ago}",
                              promoted - 7200)
        for label in config["labels"]:
            answer = client.post(
                "/api/promote-batch",
                auth=(config["username"], config["password"]),
                json=[dict(one, promote_name=label) for one in commits])
            if answer.status_code != 201:
                raise SystemExit(answer.get_data(as_text=True))
        aggregate_hash = answer.get_json()["aggregate_hash"]
        session.query(Promotion).filter(
            Promotion.aggregate_hash == aggregate_hash).update(
                {"timestamp": promoted})
        session.commit()
        closeSession(session)
        hashes.insert(0, aggregate_hash)
    return hashes


def serving(settings):
    """DLRN's application for one branch."""
    def branch_app(environ, start_response):
        BranchConfig.current.set(settings)
        return app(environ, start_response)
    return branch_app


class RequestHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"


def main():
    with open(sys.argv[1]) as file:
        config = json.load(file)
    logging.basicConfig(level=logging.INFO)
    app.config = BranchConfig(app.config.root_path, app.config)
    url = f"http://127.0.0.1:{config['port']}"
    mounts, repositories, hashes = {}, {}, {}
    for branch in config["branches"]:
        directory = config["directory"] + branch["prefix"]
        base_url = url + branch["repository"]
        settings = make_branch(directory, base_url, config)
        BranchConfig.current.set(settings)
        hashes[branch["prefix"]] = seed_branch(settings, branch, base_url,
                                               config)
        mounts[branch["prefix"]] = serving(settings)
        repositories[branch["repository"]] = settings["REPO_PATH"]
    server = make_server(
        "127.0.0.1", config["port"],
        SharedDataMiddleware(DispatcherMiddleware(NotFound(), mounts),
                             repositories, cache=False),
        threaded=True, request_handler=RequestHandler)
    ready = os.path.join(config["directory"], "ready.json")
    write(ready + ".new", json.dumps(hashes))
    os.rename(ready + ".new", ready)
    server.serve_forever()


main()
