"""Parses each item of a file of Zuul's configuration ($1) with Zuul's own schemas; says what is wrong and ends with 1.

Importing Zuul takes the clients of all that it talks to. None is used here: what is not installed is made up."""

import importlib.abc
import importlib.machinery
import sys
from unittest.mock import MagicMock


class MadeUp(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return MagicMock(name=spec.name, __path__=[])

    def exec_module(self, module):
        pass


sys.meta_path.append(MadeUp())

import voluptuous  # noqa: E402
import yaml  # noqa: E402
from zuul import configloader  # noqa: E402

SCHEMAS = {
    "job": configloader.JobParser.schema,
    "project": configloader.ProjectParser(None).schema,
    "semaphore": configloader.SemaphoreParser(None).schema,
}
wrong = 0
with open(sys.argv[1]) as file:
    items = yaml.safe_load(file)
for item in items:
    for kind, content in item.items():
        try:
            SCHEMAS[kind](content)
        except (KeyError, voluptuous.Invalid) as error:
            print(f"{kind} {content.get('name')}: {error!r}")
            wrong = 1
sys.exit(wrong)
