"""Loads a tenant with Zuul's own configuration loader, and freezes the jobs that a pipeline would run.

Reads JSON from standard input:
  tenant: a file with a tenant, as Zuul reads it
  projects: directories of checkouts by the names of projects
  change: such directories in the place of those above, for what a change proposes (a speculative layout); optional
  files: what the change changes
  runs: [[project, pipeline], …]
Writes JSON: errors (of loading, one line each), and for each of `runs` its jobs and the directories where the executor finds
the roles that they name, or the error that Zuul reports.

Zuul's scheduler, ZooKeeper and connections are not here: projects come from directories, and what of Zuul's dependencies is
not installed is made up, since nothing here calls it."""

import functools
import importlib.abc
import importlib.machinery
import json
import logging
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import MagicMock


# What packages look for and can do without.
OPTIONAL = {"simplejson", "chardet", "brotli", "brotlicffi", "zstandard", "socks", "h2", "_winapi", "winreg", "msvcrt"}


class MadeUp(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in OPTIONAL:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return MagicMock(name=spec.name, __path__=[])

    def exec_module(self, module):
        pass


# These two are called. Regular expressions of RE2 are Python's too.
sys.modules["re2"] = MagicMock(compile=lambda pattern, options=None: re.compile(pattern), error=re.error)
sys.modules["cachetools.func"] = functools
sys.meta_path.append(MadeUp())

from zuul import configloader, model  # noqa: E402
from zuul.driver.gerrit import GerritDriver  # noqa: E402
from zuul.driver.timer import TimerDriver  # noqa: E402
from zuul.executor.server import AnsibleJob  # noqa: E402
from zuul.lib import yamlutil  # noqa: E402
from zuul.model_api import MODEL_API  # noqa: E402
from zuul.zk import zkobject  # noqa: E402
from zuul.zk.components import COMPONENT_REGISTRY  # noqa: E402

COMPONENT_REGISTRY.registry = MagicMock(model_api=MODEL_API)

HOSTS = {"gerrit": "review.example.org", "github.com": "github.com", "opendev.org": "opendev.org"}


class Source:
    """A connection whose projects are directories."""

    def __init__(self, name):
        self.name = name
        self.canonical_hostname = HOSTS[name]
        self.connection = self
        self.connection_name = name
        self.driver = GerritDriver()
        self.projects = {}

    def getProject(self, name):
        project = self.projects.setdefault(name, model.Project(name, self))
        # Only Zuul has the key of a project's secrets. What is in them makes no difference here.
        project.private_secrets_key = MagicMock()
        project.private_secrets_key.decrypt.return_value = b"secret"
        return project

    def getProjectDefaultMergeMode(self, project, valid_modes=None):
        return "merge"

    def getProjectDefaultBranch(self, project, tenant):
        return "master"


class Connections:
    def __init__(self):
        self.connections = {name: Source(name) for name in HOSTS}
        timer = MagicMock()
        timer.driver = TimerDriver()
        self.connections["timer"] = timer

    def getSource(self, name):
        return self.connections[name]

    def getTrigger(self, name, config=None):
        connection = self.connections[name]
        return connection.driver.getTrigger(connection, config)

    def getReporter(self, name, pipeline, config=None, parse_context=None):
        return MagicMock()


class Tenant:
    """A tenant's layout: the one that is merged, or with `change` the one that a change proposes."""

    def __init__(self, asked):
        self.connections = Connections()
        ansible = MagicMock()
        ansible.requested_versions = []
        context = configloader.ParseContext(self.connections, MagicMock(), MagicMock(), ansible)
        self.parser = configloader.TenantParser(
            self.connections, None, MagicMock(), None, None, MagicMock(), None, None
        )
        self.parser._loadProjectKeys = lambda *_: None
        with open(asked["tenant"]) as file:
            [item] = yamlutil.safe_load(file)
        conf = item["tenant"]
        self.parser.getSchema()(conf)
        self.tenant = model.Tenant(conf["name"])
        self.tenant.default_base_job = conf.get("default-parent", "base")
        self.tenant.allowed_labels = self.tenant.disallowed_labels = None
        with ThreadPoolExecutor() as executor:
            trusted, untrusted = self.parser.loadTenantProjects(conf, executor)
        self.parsed = {}
        for tpc in trusted + untrusted:
            self.tenant.addTPC(tpc)
        self.asked = asked
        self.context = context
        self.projects = trusted + untrusted
        self.layout = self.load(asked["projects"])
        self.tenant.layout = self.layout
        if "change" in asked:
            changed = self.load({**asked["projects"], **asked["change"]}, merged=self.layout)
            self.layout = changed

    def load(self, directories, merged=None):
        config = model.ParsedConfig()
        for tpc in self.projects:
            # What a change to a config project says counts only when it is merged.
            where = self.asked["projects"] if tpc.trusted else directories
            project = tpc.project
            for name in configuration(where[project.name]):
                source = model.SourceContext(
                    project.canonical_name, project.name, project.connection_name, "master", name
                )
                source.trusted = tpc.trusted
                with open(os.path.join(where[project.name], name)) as file:
                    text = file.read()
                with self.context.errorContext(source_context=source):
                    parsed = self.parser.loadProjectYAML(text, source, self.context)
                    self.parser.addProjectBranchConfig(
                        self.context, config, self.tenant, tpc, parsed, trusted=tpc.trusted
                    )
        if merged is None:
            return self.parser._parseLayout(self.tenant, config, self.context)
        # As ConfigLoader.createDynamicLayout does: pipelines and semaphores are those that are merged.
        layout = model.Layout(self.tenant)
        layout.pipeline_managers = merged.pipeline_managers
        layout.semaphores = merged.semaphores
        layout.sections, layout.providers = merged.sections, merged.providers
        for error in self.context.error_list:
            layout.loading_errors.addError(error)
        self.context.error_list.clear()
        self.parser._addLayoutItems(layout, self.tenant, config, self.context, dynamic_layout=True)
        for error in self.context.error_list:
            layout.loading_errors.addError(error)
        return layout

    def errors(self):
        return [" ".join(str(error.error).split()) for error in self.layout.loading_errors]

    def jobs(self, name, pipeline):
        _, project = self.tenant.getProject(name)
        change = model.Change(project)
        change.branch, change.ref = "master", "refs/changes/45/12345/2"
        change.files = ["/COMMIT_MSG", *self.asked.get("files", [])]
        change.cache_stat = MagicMock()
        change.cache_stat.key.reference = change.ref
        item = MagicMock()
        item.changes = [change]
        item.manager = self.layout.pipeline_managers[pipeline]
        item.pipeline = item.manager.pipeline
        item.debug = False
        item.current_build_set.jobs = {}
        item.updatesJobConfig.return_value = False
        context = zkobject.LocalZKContext(logging.getLogger())
        try:
            graph = self.layout.createJobGraph(context, item, None, False, True)["job_graph"]
        except Exception as error:
            return {"error": " ".join(str(error).split())}
        return {"jobs": sorted(job.name for job in graph.getJobs()), "roles": self.roles(graph)}

    def roles(self, graph):
        """Where the executor finds the roles that jobs name: directories by projects, with Zuul's reason where there are none."""
        found = {}
        playbooks = [one for job in graph.getJobs() for one in job.pre_run + job.run + job.post_run]
        for role in (role for playbook in playbooks for role in playbook["roles"]):
            # The executor goes on without an implicit role: the playbook's own project need not have any.
            if role["type"] != "zuul" or role["implicit"]:
                continue
            name = role["project_canonical_name"].partition("/")[2]
            try:
                found[name] = AnsibleJob.findRole(None, self.asked["projects"][name])
            except Exception as error:
                found[name] = str(error)
        return found


def configuration(directory):
    """The files of a checkout that Zuul reads."""
    found = [name for name in ("zuul.yaml", ".zuul.yaml") if os.path.exists(os.path.join(directory, name))]
    for folder in ("zuul.d", ".zuul.d"):
        if os.path.isdir(os.path.join(directory, folder)):
            found += sorted(f"{folder}/{name}" for name in os.listdir(os.path.join(directory, folder)))
    return found


asked = json.load(sys.stdin)
tenant = Tenant(asked)
runs = [] if tenant.errors() else [tenant.jobs(*run) for run in asked["runs"]]
print(json.dumps({"errors": tenant.errors(), "runs": runs}))
