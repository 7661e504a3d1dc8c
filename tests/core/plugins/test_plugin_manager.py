"""Good plugins load; each kind of bad one is reported with its reason and skipped."""

from __future__ import annotations

from typing import Any

import pytest

from flowctl_core import hookimpl
from flowctl_core.errors import PluginError
from flowctl_core.models import Detection
from flowctl_core.plugins.discovery import PluginReference
from flowctl_core.plugins.manager import PluginManager, load_plugins


class Builder:
    contract: Any = 1

    @hookimpl
    def flowctl_detect(self, source):
        return Detection(language="x", confidence=0.5)

    @hookimpl
    def flowctl_plan(self, source, request):
        return None

    @hookimpl
    def flowctl_build(self, plan, context):
        return None


class Wrapper:
    contract = 1

    @hookimpl(wrapper=True)
    def flowctl_build(self, plan, context):
        return (yield)


class Signer:
    contract = 1

    @hookimpl
    def flowctl_sign(self, subjects, request):
        return ()


def _load(**plugins: object) -> PluginManager:
    return load_plugins(
        entry_points=[PluginReference(n, distribution=f"dist-{n}", plugin=p) for n, p in plugins.items()]
    )


def _problem(plugin: object) -> str:
    (record,) = _load(bad=plugin).records
    assert record.state == "broken"
    assert record.problem is not None
    return record.problem


def test_kinds_hooks_and_contract_are_recorded():
    manager = _load(b=Builder(), w=Wrapper(), s=Signer())
    found = {r.name: (r.kind, r.wrappers, r.hooks, r.contract, r.state) for r in manager.records}
    assert found == {
        "b": ("builder", False, ("flowctl_build", "flowctl_detect", "flowctl_plan"), 1, "active"),
        "w": ("wrapper", True, ("flowctl_build",), 1, "active"),
        "s": ("signer", False, ("flowctl_sign",), 1, "active"),
    }
    assert [r.name for r in manager.builders] == ["b"]
    assert [r.name for r in manager.wrappers] == ["w"]
    assert manager.problems == ()


def test_installed_plugins_are_imported_by_entry_point(install, builder_source):
    install("flowctl-lang-alpha", {"alpha_builder.py": builder_source("alpha")}, {"alpha": "alpha_builder:plugin"})
    record = load_plugins().builder("alpha")
    assert (record.distribution, record.version, record.state) == ("flowctl-lang-alpha", "1.0", "active")


@pytest.mark.parametrize(
    ("module", "value", "reason"),
    [
        ("import no_such_module_anywhere", "bad_plugin:plugin", "ModuleNotFoundError: No module named 'no_such_module"),
        ("raise RuntimeError('boom at import')", "bad_plugin:plugin", "RuntimeError: boom at import"),
        ("raise SystemExit(3)", "bad_plugin:plugin", "SystemExit: 3"),
        ("def f(:", "bad_plugin:plugin", "SyntaxError"),
        ("other = 1", "bad_plugin:plugin", "has no attribute 'plugin'"),
        ("plugin = 1", ":plugin", "is not of the form module:attribute"),
        ("plugin = 1", "bad_plugin", "says no contract version"),
        ("plugin = 1", "not_there_at_all:plugin", "No module named 'not_there_at_all'"),
        ("plugin = None", "bad_plugin:plugin", "names None"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_skipped(install, builder_source, module, value, reason):
    install("good", {"good_plugin.py": builder_source("good")}, {"good": "good_plugin:plugin"})
    install("bad", {"bad_plugin.py": module}, {"bad": value})
    records = {r.name: r for r in load_plugins().records}
    assert records["good"].state == "active"
    assert records["bad"].state == "broken"
    assert reason in (records["bad"].problem or "")


def test_the_traceback_of_a_failed_import_is_kept(install):
    install("bad", {"bad_plugin.py": "def inner():\n    1 / 0\ninner()\n"}, {"bad": "bad_plugin:plugin"})
    record = next(r for r in load_plugins().records if r.name == "bad")
    assert "bad_plugin.py" in (record.detail or "") and "1 / 0" in (record.detail or "")


@pytest.mark.parametrize(
    ("contract", "reason"),
    [
        (None, "says no contract version"),
        (4, "needs contract 4, this flowctl-core offers 3"),
        (0, "must be a whole number"),
        ("1", "must be a whole number"),
        (True, "must be a whole number"),
    ],
)
def test_a_wrong_contract_version_is_refused(contract, reason):
    plugin = Builder()
    plugin.contract = contract
    assert reason in _problem(plugin)


def test_a_class_in_place_of_an_object_is_refused():
    assert "names the class Builder" in _problem(Builder)


def test_an_unhashable_object_is_refused():
    class Equal(Builder):
        def __eq__(self, other: object) -> bool:
            return True

    assert "not hashable" in _problem(Equal())


def test_an_object_without_hooks_is_refused():
    class Empty:
        contract = 1

    assert "implements no hook" in _problem(Empty())


def test_an_unknown_hook_is_refused():
    class Typo(Builder):
        @hookimpl
        def flowctl_tset(self, plan, context):
            return None

    assert "flowctl_tset" in _problem(Typo())


def test_a_hook_without_the_decorator_is_refused():
    class Forgot(Builder):
        def flowctl_test(self, plan, context):
            return None

    assert "flowctl_test is not decorated with @hookimpl" in _problem(Forgot())


def test_a_module_may_be_a_plugin_and_may_import_flowctl_core(install):
    text = (
        "import flowctl_core\nfrom flowctl_core import hookimpl\ncontract = 1\n"
        "@hookimpl\ndef flowctl_detect(source): pass\n@hookimpl\ndef flowctl_plan(source, request): pass\n"
        "@hookimpl\ndef flowctl_build(plan, context): pass\n"
    )
    install(
        "modular",
        {"modular_plugin/__init__.py": "", "modular_plugin/hooks.py": text},
        {"modular": "modular_plugin.hooks"},
    )
    assert load_plugins().builder("modular").state == "active"


def test_wrong_argument_names_are_refused():
    class Arguments(Builder):
        @hookimpl
        def flowctl_test(self, plan, ctx):
            return None

    assert "ctx" in _problem(Arguments())


def test_an_async_hook_is_refused():
    class Async(Builder):
        @hookimpl
        async def flowctl_test(self, plan, context):
            return None

    assert "flowctl_test is async" in _problem(Async())


def test_a_generator_that_is_not_a_wrapper_is_refused():
    class Generator(Builder):
        @hookimpl
        def flowctl_test(self, plan, context):
            yield

    assert "wrapper=True" in _problem(Generator())


def test_a_builder_never_signs():
    class Both(Builder):
        @hookimpl
        def flowctl_sign(self, subjects, request):
            return ()

    assert "a builder never signs" in _problem(Both())


def test_a_builder_that_wraps_is_refused():
    class Both(Builder):
        @hookimpl(wrapper=True)
        def flowctl_test(self, plan, context):
            return (yield)

    assert "wrappers need a plugin object of their own" in _problem(Both())


def test_a_builder_without_the_required_hooks_is_refused():
    class Half:
        contract = 1

        @hookimpl
        def flowctl_detect(self, source):
            return None

    assert "but not flowctl_plan, flowctl_build" in _problem(Half())


def test_a_broken_plugin_leaves_nothing_in_the_manager():
    class Typo(Builder):
        @hookimpl
        def flowctl_tset(self, plan, context):
            return None

    manager = _load(bad=Typo(), good=Builder())
    impls = manager.implementations("good", "flowctl_build").get_hookimpls()
    assert [impl.plugin_name for impl in impls] == ["good"]
    with pytest.raises(PluginError, match="flowctl_tset"):
        manager.builder("bad")


def test_two_distributions_with_one_name_are_a_conflict_that_names_both():
    manager = load_plugins(
        entry_points=[
            PluginReference("zig", distribution="zig-a", version="1.0", plugin=Builder()),
            PluginReference("zig", distribution="zig-b", version="2.0", plugin=Builder()),
            PluginReference("other", distribution="fine", plugin=Builder()),
        ]
    )
    assert [(r.state, r.problem) for r in manager.problems] == [
        ("conflict", "the name zig is claimed by zig-a 1.0, zig-b 2.0; uninstall all but one"),
    ] * 2
    assert [r.name for r in manager.builders] == ["other"]
    with pytest.raises(PluginError, match=r"zig-a 1\.0, zig-b 2\.0"):
        manager.builder("zig")


def test_cores_own_plugin_keeps_its_name():
    mine = PluginReference("command", distribution="flowctl-core", plugin=Builder())
    theirs = PluginReference("command", distribution="squatter", version="9", plugin=Builder())
    manager = load_plugins(entry_points=[theirs], extra=[mine])
    assert manager.builder("command").distribution == "flowctl-core"
    assert manager.builder("command").version
    (record,) = manager.problems
    assert record.distribution == "squatter" and "flowctl-core" in (record.problem or "")


def test_one_object_under_two_names_is_refused():
    shared = Builder()
    manager = _load(a=shared, b=shared)
    assert {r.name: r.state for r in manager.records} == {"a": "active", "b": "broken"}


def test_an_unknown_builder_is_an_error_that_lists_the_known():
    with pytest.raises(PluginError, match="there is no builder cobol; installed builders: a"):
        _load(a=Builder()).builder("cobol")


def test_a_wrapper_is_not_a_builder():
    with pytest.raises(PluginError, match="it is a wrapper"):
        _load(w=Wrapper()).builder("w")


def test_records_are_json():
    (record,) = _load(a=Builder()).records
    assert record.model_dump(mode="json") == {
        "name": "a",
        "distribution": "dist-a",
        "version": "",
        "value": "",
        "contract": 1,
        "hooks": ["flowctl_build", "flowctl_detect", "flowctl_plan"],
        "kind": "builder",
        "wrappers": False,
        "state": "active",
        "problem": None,
        "detail": None,
        "digest": "",
    }
