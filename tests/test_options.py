"""Options: one definition, three sources, and one line for what does not fit."""
import os

import pytest
import yaml

from mindspore_maml.cli.command_line import as_arguments, options_of_call, parse
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.options import EVAL, OPTIONS, TRAIN, options_of
from mindspore_maml.cli.presets import PRESET_FOLDER, as_yaml, read_preset
from mindspore_maml.cli.program import run_program
from mindspore_maml.cli.reading import read_text
from mindspore_maml.cli.run_options import Options, kind_of

DATA = ["--data_path", "data"]


def test_modelzoo_defaults():
    options = parse(TRAIN, "", [*DATA, "--preset", "maml"])
    expected = {"device_id": 0, "device_target": "auto", "mode": "graph", "epoch": 20000, "n_way": 5, "k_spt": 1,
                "k_qry": 5, "imgsz": 28, "imgc": 1, "task_num": 32, "lr_scheduler_gamma": 0.5,
                "output_dir": "./ckpt_outputs", "ckpt": "", "order": "second", "lr_scheduler": "constant",
                "rotate": True}
    assert {name: getattr(options, name) for name in expected} == expected
    recipe = parse(TRAIN, "", DATA)   # differs in the batch and the inner rate, not in the task
    others = {name for name in expected if getattr(recipe, name) != expected[name]}
    assert others == {"k_qry", "task_num", "lr_scheduler"}
    assert (parse(EVAL, "", DATA).k_qry, parse(EVAL, "", DATA).rotate) == (15, False)


def test_hyphens_are_accepted():
    assert parse(TRAIN, "", [*DATA, "--update-lr", "0.25", "--no-rotate"]).update_lr == 0.25
    assert parse(TRAIN, "", [*DATA, "--no_rotate"]).rotate is False


def test_a_flag_wins_over_the_preset_and_the_preset_over_the_default(tmp_path):
    preset = tmp_path / "own.yaml"
    preset.write_text("k_spt: 5\nupdate_step: 3\nnetwork: [{layer: flatten}, {layer: linear}]\n")
    options = parse(TRAIN, "", [*DATA, "--preset", str(preset), "--k_spt", "2"])
    assert (options.k_spt, options.update_step, options.n_way) == (2, 3, 5)
    assert options.network[-1] == {"layer": "linear"}


@pytest.mark.parametrize("arguments, words", [
    (["--n_way", "1"], "--n_way is '1'; expected a whole number from 2"),
    (["--n_way", "2.5"], "--n_way is '2.5'"),
    (["--update_lr", "nan"], "--update_lr is 'nan'"),
    (["--update_lr", "-1"], "a number from 0 to 1e.38"),
    (["--order", "third"], "one of first, second"),
    (["--imgc", "2"], "one of 1, 3"),
    (["--adapt", "weight,we-ight"], "we-ight"),
    (["--lr_milestones", "3,x"], "whole numbers separated by commas"),
    (["--bogus", "1"], "--bogus"),
    (["--epoch"], "--epoch"),
    (["--preset", "nonesuch"], "nonesuch"),
    (["--epoch", "10000000000"], "--epoch is '10000000000'; expected a whole number from 1 to 1000000"),
    (["--device_id", "9" * 5000], "--device_id is '999"),
    (["--preset", "x" * 300], "--preset is 'xxx.*255 in each name"),
    (["--ckpt", "a/" * 3000], "--ckpt is 'a/a.* 4095 bytes"),
    (["--ckpt", "a\0b"], r"--ckpt is 'a.x00b'"),
    (["--lr_milestones", "1," * 2000], "at most 1000 whole numbers"),
])
def test_what_does_not_fit_is_named(arguments, words):
    with pytest.raises(InputError, match=words) as error:
        parse(TRAIN, "", [*DATA, *arguments])
    assert "\n" not in str(error.value)


def test_a_missing_required_flag_is_named():
    with pytest.raises(InputError, match="--data_path is missing"):
        parse(TRAIN, "", [])


@pytest.mark.parametrize("content, words", [
    ("n_wya: 5", "unknown key n_wya"),
    ("n_way: many", "n_way is 'many'"),
    ("- 1", "expected a mapping"),
    ("a: [", "not readable as YAML"),
    ("k_spt: 2001-99-99", "not readable as YAML"),
    ("k_spt: 2001-09-09", "k_spt is datetime.date"),
    ("k_spt: 0x_", "not readable as YAML"),
    ("k_spt: !!float x", "not readable as YAML"),
    ("k_spt: !!python/name:os.system", "not readable as YAML"),
    ("1: 2\nk_spt: 3\nx: 4", "unknown key 1"),
    ("2001-01-01: 2", "unknown key datetime.date"),
    ("? [a, b]\n: 1", "not readable as YAML"),
    ("k_spt: &x [*x]", "stands for nothing, or for what it stands in"),
    ("a: &a [x, x]\n" + "".join(f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi")),
     "more than 10000 values"),
    ("[" * 50000, "more than 20 deep"),
    ("k_spt: " + "1:" * 20000 + "1", "k_spt is a int too long to show"),
    ("k_spt: [1]", "k_spt is .1.; expected a whole number"),
    ("order: [first]", "order is .'first'."),
    ("description: [a]", "description is"),
    ("description: " + "x" * 200000, "more than 100000 bytes"),
    ("\u00e9" * 60000, "more than 100000 bytes"),   # cut in the middle of a letter
    ("network: 3", "network is 3; expected a list of 1 to 200 layers"),
    ("network: [{layer: [conv2d]}]", "layer 0 is"),
    ("network: [{1: conv2d}]", "layer 0 is"),
    ("network: [{layer: conv2d, filters: .inf}]", "layer 0: filters is inf"),
    ("network: [{layer: conv2d, filters: {a: 1}}]", "layer 0: filters is {'a': 1}"),
    ("network: [{layer: residual, layers: [{layer: bn, eps: .nan}]}]", "layer 0: layers: layer 0: eps is nan"),
])
def test_presets_are_checked(tmp_path, content, words):
    path = tmp_path / "own.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=words) as error:
        read_preset(path)
    assert str(path) in str(error.value)


def test_a_pipe_is_no_preset(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="no such preset or file"):
        read_preset(tmp_path / "pipe")
    with pytest.raises(InputError, match="a pipe, not a regular file"):
        read_text(tmp_path / "pipe", "--flag")


def test_aliases_may_repeat_layers(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("network: [&conv {layer: conv2d, filters: 4}, *conv, {layer: flatten}, {layer: linear}]")
    assert read_preset(path)["network"][0] == read_preset(path)["network"][1]


def test_the_printed_options_are_a_preset_that_gives_them_again(tmp_path):
    options = parse(TRAIN, "", [*DATA, "--preset", "higher", "--n_way", "7", "--lr_milestones", "3,9"])
    path = tmp_path / "config.yaml"
    path.write_text(as_yaml(options))
    again = parse(TRAIN, "", ["--preset", str(path)])
    assert {**vars(again), "preset": 0, "given": 0} == {**vars(options), "preset": 0, "given": 0}


def test_every_preset_lists_a_network_and_a_description():
    for path in PRESET_FOLDER.glob("*.yaml"):
        assert {"network", "description"} <= set(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize("name", ["higher", "notebook"])
def test_presets_test_after_every_epoch_of_their_sources(name):
    preset = read_preset(name)   # these go through 1200 characters, task_num at a time, then through the other 423
    assert preset["display_epoch"] == 1200
    assert preset["eval_every"] == 1200 // preset["task_num"]
    assert preset["eval_batches"] == 423 // preset["task_num"]


def test_a_preset_without_a_network_has_the_default_one(tmp_path):
    preset = tmp_path / "mine.yaml"
    preset.write_text("k_spt: 2\n", encoding="utf-8")
    options = parse(TRAIN, "", ["--data_path", "x", "--preset", str(preset)])
    assert (options.k_spt, options.network) == (2, read_preset("maml")["network"])


def test_presets_are_listed(capsys):
    with pytest.raises(SystemExit) as ended:
        parse(TRAIN, "", ["--list_presets"])
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.split()[0] for line in lines[1:]) == sorted(path.stem for path in PRESET_FOLDER.glob("*.yaml"))


def test_every_option_is_defined_once_and_has_a_valid_default():
    names = [option.name for option in OPTIONS]
    assert len(names) == len(set(names))
    for option in options_of(TRAIN):
        default = option.default_for(TRAIN)
        if default not in ("required", ""):
            assert option.convert(default, option.name) == default


def test_bad_input_ends_with_one_line_and_status_2(capsys):
    def fails():
        raise InputError("--flag is 1; expected 2")
    with pytest.raises(SystemExit) as ended:
        run_program(fails)
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: --flag is 1; expected 2\n"


# ---- options from Python, and back

def test_a_command_line_of_flags_gives_them_again():
    flags = {"preset": "maml-20way", "rotate": False, "per_step": True, "lr_milestones": [3, 4], "meta_lr": 0.5,
             "output_dir": "-a folder", "epoch": 7}
    arguments = as_arguments(flags)
    assert arguments == ["--preset", "maml-20way", "--no_rotate", "--per_step", "--lr_milestones", "3,4", "--meta_lr",
                         "0.5", "--output_dir=-a folder", "--epoch", "7"]
    options = parse(TRAIN, "", ["--data_path", "x", *arguments])
    assert {name: getattr(options, name) for name in flags} == flags
    assert options.given == {"data_path", *flags}


def test_a_call_from_python_has_defaults_the_preset_and_what_was_given():
    options = options_of_call(EVAL, {"preset": "maml-20way", "k_spt": "3"})
    assert (options.n_way, options.k_spt, options.k_qry, options.given) == (20, 3, 15, {"preset", "k_spt"})
    assert options.network == read_preset("maml-20way")["network"]
    with pytest.raises(InputError, match="^k_spt is 0; expected a whole number from 1 to 1000$"):
        options_of_call(EVAL, {"k_spt": 0})


def test_options_have_types_and_are_changed_in_a_copy():
    assert [kind_of(name) for name in ("n_way", "meta_lr", "rotate", "ckpt", "seeds", "query", "unheard_of")] == \
        [int, float, bool, str, list, tuple, str]
    options = Options(n_way=5, k_spt=1)
    changed = options.but(k_spt=3)
    assert (repr(options), repr(changed)) == ("Options(n_way=5, k_spt=1)", "Options(n_way=5, k_spt=3)")
    assert set(Options.__annotations__) - {option.name for option in OPTIONS} == {"network", "operands", "given"}
