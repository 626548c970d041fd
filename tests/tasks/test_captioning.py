import pyarrow.parquet as pq
import pytest
import torch
from jsonargparse import ArgumentParser

import molfusion
from molfusion.config import compose
from molfusion.data.card import load_card
from molfusion.data.instruct import write
from molfusion.data.records import load_records
from molfusion.encoders import Fingerprint, Nothing
from molfusion.encoders.base import Encoder, NotApplicable
from molfusion.errors import MolfusionError
from molfusion.fusion import QFormer
from molfusion.language import Decoding, LanguageModel
from molfusion.paths import shipped
from molfusion.runner import Run
from molfusion.tasks import Captioning
from molfusion.tasks.answers import Answer, Answers, property_of
from tests import contract
from tests.language.helpers import SIZES
from tests.ranks import together
from tests.tasks.helpers import FINGERPRINT, fit
from tests.tasks.test_overfit import same  # noqa: F401  (a fixture)
from tests.test_ddp import STEADY
from tests.test_ddp import same as equal_weights
from tests.test_ddp import weights as weights_of
from tests.test_sharding import FSDP

PAPERS = shipped("experiments") / "papers" / "3d-molm"
LM = {"class_path": "molfusion.language.LanguageModel", "init_args": {"config": SIZES, "train": "full"}}
NOTHING = {"class_path": "molfusion.encoders.Nothing", "init_args": {"dim": 32}}
SHORT = {"decoding": {"max_new_tokens": 12}}


def task(**arguments):
    lm = LanguageModel(config=SIZES, train="full")
    return Captioning(**{"encoder": Fingerprint(dim=16, hidden=16, bits=64), "lm": lm, **arguments})


def batch_for(made):
    return contract.collate(made, [r for r in contract.records() if r.text])


# -- parts -------------------------------------------------------------------------------------------


def test_the_connector_goes_between_the_widths():
    made = task()
    soft = made.soft(batch_for(made))
    assert soft.x.shape == (5, 1, 32)
    assert (made.connector.in_features, made.connector.out_features) == (16, 32)
    with pytest.raises(NotApplicable, match="Fingerprint has 16, the language model 32; set connector to linear"):
        task(connector="none")
    bare = task(connector="none", encoder=Fingerprint(dim=32, hidden=16, bits=64))
    assert not list(bare.connector.parameters())


def test_soft_tokens_begin_as_small_as_embeddings():
    """Of inputs of size 1; and weights that are read are not scaled again."""
    torch.manual_seed(0)
    made = task()
    soft = made.connector(torch.randn(500, 16)).detach().pow(2).mean().sqrt()
    words = made.lm.model.get_input_embeddings().weight.detach().pow(2).mean().sqrt()
    assert float(soft) == pytest.approx(float(words), rel=0.15)
    before = made.connector.weight.clone()
    made.configure_model()
    assert torch.equal(made.connector.weight, before)


def test_all_that_should_learn_does():
    made = task().train()
    made.losses(batch_for(made))["caption"].backward()
    assert not [n for n, p in made.named_parameters() if p.requires_grad and p.grad is None]


def test_what_only_aligns_a_q_former_is_left_as_it_is():
    queries = QFormer(Fingerprint(dim=16, hidden=16, bits=64), 2, 32, 1, 2, 64, width=16)
    made = task(encoder=queries)
    made.losses(batch_for(made))["caption"].backward()
    frozen = {n for n, p in made.named_parameters() if not p.requires_grad}
    assert {"encoder.bert.words.weight", "encoder.text_head.bias"} <= frozen
    assert not [n for n, p in made.named_parameters() if p.requires_grad and p.grad is None]


def test_nothing_says_the_same_of_every_molecule():
    made = task(encoder=Nothing(dim=8, tokens=3))
    soft = made.soft(batch_for(made))
    assert soft.x.shape == (5, 3, 32)
    assert torch.equal(soft.x[0], soft.x[4])
    assert soft.mask.all()


def answer(**changes):
    given = {"id": "a", "group": "", "smiles": "CCO", "prompt": "?", "target": "One ring.", "text": "One ring."}
    return Answer(**{**given, "nll": 3.0, "tokens": 4, **changes})


def test_metrics_of_texts_numbers_and_losses():
    answers = Answers("molfusion", None)
    answers.learn(["The LogP of this molecule is 2.0.", "The LogP of this molecule is 4.0.", "It has a ring."])
    assert answers.means == {"LogP": 3.0}
    found, _ = answers.scored(
        [
            answer(),
            answer(nll=9.0, tokens=2, text=None),
            answer(target="The LogP of this molecule is 1.5.", text="The LogP of this molecule is 1.0."),
            answer(target="The LogP of this molecule is 1.0.", text="I cannot tell."),
        ]
    )
    assert found["loss"] == pytest.approx(18 / 14)
    assert found["generated"] == 3
    assert found["ROUGE-L"] == pytest.approx(100)
    assert found["LogP/MAE"] == pytest.approx(0.5)
    assert found["LogP/valid"] == 0.5
    assert found["LogP/penalised_MAE"] == pytest.approx((0.5 + 2.0) / 2)
    assert not [name for name in found if name.startswith("facts/")], "these are not the demo's sentences"


def test_facts_of_captions_in_the_demos_sentences():
    told = "Its molecular formula is C2H6O. It is acyclic."
    right, wrong = (Answers("molfusion", None).scored([answer(target=told, text=t)])[0] for t in (told, told.replace("C2", "C3")))
    assert right["facts/precision"] == right["facts/recall"] == 1
    assert 0 < wrong["facts/precision"] < 1
    assert wrong["facts/hallucination"] == 1 - wrong["facts/precision"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("The HOMO-LUMO Gap for the input molecule is 5.762 eV.", "HOMO-LUMO Gap"),
        ("The Molecular Weight of this molecule is 46.07 g/mol.", "Molecular Weight"),
        ("The LogP for the input molecule is -0.31.", "LogP"),
        ("The molecule is an alcohol of 2 carbons.", None),
        ("It has one ring.", None),
    ],
)
def test_which_number_an_answer_gives(text, name):
    assert property_of(text) == name


# -- whole runs --------------------------------------------------------------------------------------


def test_a_run_leaves_what_was_said(card, tmp_path):
    run = tmp_path / "run"
    found = fit(run, card, "Captioning", encoder=FINGERPRINT, lm=LM, samples=2, shots=1, epochs=1, **SHORT)["metrics"]
    assert found["val/score"] == -found["val/loss"]
    assert found["val/generated"] == 2
    assert found["test/generated"] == 4
    rows = pq.read_table(run / "predictions.parquet").to_pylist()
    val = [r for r in rows if r["split"] == "val"]
    assert [r["text"] is None for r in val] == [False, False, True, True]
    assert {r["prompt"] for r in rows} == {"Describe the molecule."}
    assert found["test/loss"] == pytest.approx(
        sum(r["nll"] for r in rows if r["split"] == "test") / sum(r["tokens"] for r in rows if r["split"] == "test")
    )
    told = molfusion.load(run).predict()  # its examples come out of the checkpoint
    said = {r["id"]: r["text"] for r in rows if r["split"] == "test"}
    assert {r["id"]: r["text"] for r in told if r["id"] in said} == said


def test_a_metric_to_choose_by_must_exist(card, tmp_path):
    with pytest.raises(MolfusionError, match="there is no metric 'BLEU'; there are loss, BLEU-2@molfusion:512, "):
        fit(tmp_path / "run", card, "Captioning", encoder=FINGERPRINT, lm=LM, select="BLEU", epochs=1, **SHORT)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompt": "Describe it."}, "has no {molecule}: write {molecule} once"),
        ({"tokenizer": "/no/such/folder"}, "the language model's tokenizer is missing"),
        ({"length": 17}, r"record c\d+: prompt and answer are \d+ tokens, more than lm.length 17"),
    ],
)
def test_a_users_mistake_is_one_line(card, tmp_path, arguments, message):
    lm = {**LM, "init_args": {**LM["init_args"], **arguments}}
    with pytest.raises(MolfusionError, match=message) as error:
        fit(tmp_path / "run", card, "Captioning", encoder=FINGERPRINT, lm=lm, epochs=1, **SHORT)
    assert "\n" not in str(error.value)


def test_an_empty_caption(card, tmp_path):
    for file in card.parent.iterdir():
        (tmp_path / file.name).write_text(file.read_text().replace("It is an amine. It has two carbons.", ""))
    with pytest.raises(MolfusionError, match="record c1 has no text: there is no answer to learn from"):
        fit(tmp_path / "run", tmp_path / card.name, "Captioning", encoder=FINGERPRINT, lm=LM, epochs=1, batch=16, **SHORT)


@pytest.mark.slow
def test_it_can_memorise_and_needs_the_molecule_for_it(same, tmp_path):  # noqa: F811
    told = {}
    for name, encoder in {"molecule": FINGERPRINT, "nothing": NOTHING}.items():
        run = tmp_path / name
        found = fit(run, same, "Captioning", encoder=encoder, lm=LM, epochs=200, lr=5e-3, samples=1,
                    overrides=["trainer.check_val_every_n_epoch=200"], **SHORT)["metrics"]  # fmt: skip
        told[name] = found
    assert told["molecule"]["test/loss"] < 0.15
    assert told["molecule"]["test/BLEU-4@molfusion:512"] > 85
    assert told["nothing"]["test/loss"] > 0.2  # sixteen captions that nothing tells apart: ln 16 over 11 tokens is 0.25
    assert told["nothing"]["test/BLEU-4@molfusion:512"] < 60


@pytest.mark.slow
def test_shared_out_it_trains_as_on_one_process(card, tmp_path):
    """Answers of unequal length on two ranks weigh as they would in one batch; generation stops together."""
    settings = {"encoder": FINGERPRINT, "lm": LM, "epochs": 2, **SHORT}
    two = together(2, fit, tmp_path / "two", card, "Captioning", batch=4, overrides=[STEADY, *FSDP], **settings)
    one = fit(tmp_path / "one", card, "Captioning", batch=8, overrides=[STEADY], **settings)
    equal_weights(weights_of(tmp_path / "one", "last"), weights_of(tmp_path / "two", "last"))
    assert two[0]["metrics"] == pytest.approx(one["metrics"], abs=1e-3)


# -- the paper ---------------------------------------------------------------------------------------


def paper(stage, *overrides):
    """A stage at its size on the meta device. SciBERT's vocabulary is not here: the embedded one takes its place."""
    from molfusion.build import build

    local = ["trainer.accelerator=cpu", "trainer.precision=32-true", "model.encoder.tokenizer=molfusion", "data.card=demo"]
    made = compose([PAPERS / f"{stage}.yaml"], [*local, *overrides])
    with torch.device("meta"):
        return build(made, shipped("experiments")).task


@pytest.mark.parametrize("stage", ["1_align", "2_caption", "3_instruct"])
def test_paper_size(stage):
    made = paper(stage)
    assert sum(p.numel() for p in made.encoder.encoder.parameters()) == 47_330_626
    assert not any(p.requires_grad for p in made.encoder.encoder.parameters())
    assert made.encoder.query.shape == (1, 8, 768)
    if stage != "1_align":
        assert sum(p.numel() for p in made.lm.parameters() if p.requires_grad) == 19_988_480
        assert (made.connector.in_features, made.connector.out_features) == (768, 4096)
        assert (made.lm.view.start, made.lm.view.end) == ("</s>", "")
        assert made.lm.view.template.startswith("</s>Below is an instruction")
        assert made.decoding == Decoding(128, 16 if stage == "3_instruct" else 32, 5, 0.8, 1.2)


@pytest.mark.slow
def test_three_stages_by_exported_folders(card, tmp_path, cache):
    """Three configs of the paper's tiny twin, each beginning where the one before ended."""

    def run(stage, source, *overrides):
        quick = [("data.card", str(source)), "data.batch_size=8", "trainer.max_epochs=1", "trainer.check_val_every_n_epoch=1",
                 "trainer.accelerator=cpu"]  # fmt: skip
        return Run(compose([PAPERS / "tiny" / f"{stage}.yaml"], [*quick, *overrides]), tmp_path / stage).fit()

    first = run("1_align", card)
    second = run("2_caption", card, ("model.encoder", str(tmp_path / "1_align" / "encoder.yaml")))
    small = load_card(str(card))
    write(small, load_records(small, cache).records, tmp_path / "questions", ["number", "Molecular Weight"])
    start = ("model.start", str(tmp_path / "2_caption" / "checkpoints" / "best.ckpt"))
    third = run("3_instruct", tmp_path / "questions" / "card.yaml", start)
    assert [r["task"] for r in (first, second, third)] == ["QFormerProjection", "QFormerCaptioning", "QFormerCaptioning"]
    assert "test/number/valid" in third["metrics"]
    assert "test/Molecular Weight/penalised_MAE" in third["metrics"]
    assert third["cost"]["trained_parameters"] == second["cost"]["trained_parameters"]
    # stage 2 began with the queries of stage 1
    model = compose([tmp_path / "2_caption" / "config.yaml"]).tree["model"]
    assert model["init_args"]["encoder"]["class_path"].endswith("restore")
    # and what it exports is a Q-Former like any other
    assert isinstance(restored(tmp_path / "2_caption" / "encoder.yaml"), QFormer)


def restored(fragment):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--encoder", type=Encoder)
    return parser.instantiate_classes(parser.parse_object({"encoder": compose([fragment]).tree})).encoder
