"""The fixture, its seed, and what a failing test says."""

from importlib.metadata import entry_points

import pytest

pytest_plugins = ["pytester"]

TEST = """
    def test_it(pystack_net):
        web = pystack_net.host("web", "192.0.2.1/24")
        assert pystack_net.seed == {seed}
        assert web.tcp_states() == {{}}
"""


def pytest_run(pytester: pytest.Pytester, *args: str) -> pytest.RunResult:
    installed = any(point.name == "pystack" for point in entry_points(group="pytest11"))
    plugin = () if installed else ("-p", "pystack.pytest_plugin")
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", *plugin, *args)


def run(pytester: pytest.Pytester, seed: int, *args: str) -> pytest.RunResult:
    pytester.makepyfile(TEST.format(seed=seed))
    return pytest_run(pytester, *args)


@pytest.mark.parametrize(
    ("option", "seed"), [((), 0), (("--pystack-seed=7",), 7), (("--pystack-seed=0x10",), 16)]
)
def test_a_network_with_the_seed_of_the_run(
    pytester: pytest.Pytester, option: tuple[str, ...], seed: int
):
    run(pytester, seed, *option).assert_outcomes(passed=1)


def test_a_failure_says_how_to_run_it_again(pytester: pytest.Pytester):
    result = run(pytester, 8, "--pystack-seed=9")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*run again with --pystack-seed=9*"])


def test_a_random_seed_is_one_for_the_run(pytester: pytest.Pytester):
    pytester.makepyfile("def test_it(pystack_net):\n    assert pystack_net.seed == -1")
    result = pytest_run(pytester, "--pystack-seed=random")
    result.stdout.re_match_lines([r".*run again with --pystack-seed=\d+"])


@pytest.mark.parametrize("text", ["x", "-1", "1.5", str(2**64)])
def test_a_bad_seed_is_refused_in_one_line(pytester: pytest.Pytester, text: str):
    result = pytest_run(pytester, f"--pystack-seed={text}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--pystack-seed={text}: give a number*"])
