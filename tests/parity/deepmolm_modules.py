"""Checks against DeepMoLM's official modules: image towers, projectors, structure tokens, sizes."""

import json
from types import SimpleNamespace

import torch

from molfusion.batch import Tokens
from molfusion.encoders.base import Encoder
from molfusion.encoders.deepencoder import DeepEncoder, Global, Local, merged, sam
from molfusion.encoders.e3fp_tokens import E3FPTokens
from molfusion.fusion.cross_attention import CrossAttention
from molfusion.nn.clip_tower import CLIPTower
from molfusion.views.e3fp import E3FPView, ShellTokens
from molfusion.views.image import ImageView
from molfusion.weights import deepmolm, deepseek_ocr
from molfusion.weights.keys import convert
from tests.parity.golden import Case, close, component

TOLERANCE = 1e-5


def local(config: dict) -> Local:
    return Local(
        config["dim"], config["depth"], config["heads"], config["patch"], config["window"], tuple(config["global"]),
        tuple(config["channels"]),
    )  # fmt: skip


@component("deepmolm", "sam_vit")
def sam_vit(case: Case, tmp_path) -> None:
    io, config = case.arrays("io"), case.config
    tower = sam(local(config), config["img"]).eval()
    converted = convert(case.weights(), deepseek_ocr.SAM_RULES, "SAM")
    tower.load_state_dict(converted.state)
    seen = {}
    tower.patch_embed.register_forward_hook(lambda m, i, o: seen.update(patch_embed=o))
    tower.neck.register_forward_hook(lambda m, i, o: seen.update(neck=o))
    tower.proj.conv1.register_forward_hook(lambda m, i, o: seen.update(net_2=o))
    for k, layer in enumerate(tower.layers):
        layer.register_forward_hook(lambda m, i, o, k=k: seen.update({f"block{k}": o}))
    sizes = sorted(int(name[2:]) for name in io if name.startswith("x_"))
    assert config["img"] in sizes
    for size in sizes:
        close(tower(io[f"x_{size}"].float()).last_hidden_state, io[f"y_{size}"], f"image of {size}", TOLERANCE)
        for name, found in seen.items():
            if f"{name}_{size}" in io:
                close(found, io[f"{name}_{size}"], f"{name} at {size}", TOLERANCE)


@component("deepmolm", "clip")
def clip(case: Case, tmp_path) -> None:
    io, config = case.arrays("io"), case.config
    tower = clip_tower(config)
    tower.load_state_dict(convert(case.weights(), deepseek_ocr.CLIP_RULES, "CLIP").state)
    for name in [n for n in io if n.startswith("sam_")]:
        side = name.removeprefix("sam_")
        close(tower.embed(io[name]), io[f"embeddings_{side}"], f"embeddings, grid {side}", TOLERANCE)
        close(tower(io[name]), io[f"y_{side}"], f"grid {side}", TOLERANCE)


def clip_tower(config: dict) -> CLIPTower:
    side = config["image_size"] // config["patch"]
    tower = CLIPTower(config["dim"], config["layers"], config["heads"], config["ffn"], side).eval()
    tower.patch = torch.nn.Parameter(torch.zeros(config["dim"], 3, config["patch"], config["patch"]), requires_grad=False)
    return tower


@component("deepmolm", "deepencoder")
def deepencoder(case: Case, tmp_path) -> None:
    io, config = case.arrays("io"), case.config
    pixels, crops = io["pixel_values"].float(), io["images_crop"].float()
    across, down = io["crop_shape"].tolist()
    whole, tile = pixels.shape[-1], crops.shape[-1]
    c = config["clip"]
    second = Global(c["layers"], c["heads"], c["ffn"], c["image_size"] // c["patch"])
    encoder = DeepEncoder(ImageView(whole, whole, whole=whole, tile=tile), "auto", local(config["sam"]), second).eval()
    encoder.clip.patch = clip_tower(c).patch
    published = {k if k.startswith(("sam_", "vision_")) else f"model.{k}": v for k, v in case.weights().items()}
    encoder.load_state_dict(deepseek_ocr.deep_encoder(published).state)
    close(encoder.see(pixels), io["global_features"], "whole image", TOLERANCE)
    close(encoder.see(pixels), io["global_features_nocrop"], "without crops", TOLERANCE)
    close(encoder.see(crops.flatten(0, 1)), io["local_features"], "crops", TOLERANCE)
    # The same through the encoder, tiles put together; the pictures are given as they are.
    images = SimpleNamespace(normalise=lambda: pixels, normalise_tiles=lambda: crops, grid=(across, down))
    found = encoder({encoder.view: images}).x
    expected = [merged(io["local_features"][None], (across, down)), io["global_features"]]
    close(found, torch.cat(expected, dim=1), "tokens", TOLERANCE)
    if encoder.view.grid == (across, down):
        assert sum(r * k for r, k in encoder.grids) == found.shape[1]


class Given(Encoder):
    """Tokens as the case gives them."""

    def __init__(self, x: torch.Tensor, grids: tuple[tuple[int, int], ...] = ((1, 1),)) -> None:
        super().__init__()
        self.x, self.grids, self.dim, self.views = x, grids, x.shape[-1], frozenset()

    def forward(self, batch) -> Tokens:
        return Tokens(self.x, torch.ones(self.x.shape[:2], dtype=torch.bool))


def projector(case: Case, kind: str, query: Encoder) -> CrossAttention:
    published = case.weights()
    width = case.config["hidden_size"]
    bits = case.config.get("mol_fp_bits", 4096)
    context = None
    if kind != "linear":
        context = E3FPTokens(published["molecule_embed.weight"].shape[1], shells=E3FPView(bits=bits))
    heads = deepmolm.heads(case.config, width)
    ffn = published["ffn.0.weight"].shape[0] if kind == "attention" else None
    fusion = CrossAttention(query, context, width, heads, ffn=ffn, kind=kind, layout=True).eval()
    fusion.load_state_dict(deepmolm.projector(published).state)
    return fusion


def check_projector(case: Case, kind: str) -> None:
    io = case.arrays("io")
    ids = io["molecule_fp"]
    given = Given(io["x"])
    fusion = projector(case, kind, given)
    batch = {} if fusion.context is None else {fusion.context.shells: ShellTokens(ids, torch.ones(ids.shape[:2], dtype=bool))}
    context = None if fusion.context is None else fusion.context(batch)
    found = fusion.fuse(given(batch), context)
    assert torch.isfinite(found).all()
    close(found, io["y"], "fused", TOLERANCE)
    if "mol_embeds" in io:
        close(context.x, io["mol_embeds"].flatten(1, 2), "structure tokens", TOLERANCE)
        some = (ids >= 0).flatten(1).any(1)
        close(~context.mask[some], io["padding_mask"].flatten(1)[some], "mask")
        close(ids + 1, io["indices"], "indices")
        close(fusion.projection(io["x"]), io["image_proj"], "projected", TOLERANCE)
    if "num_heads" in io and kind == "attention":
        assert fusion.layers[0].attention.num_heads == int(io["num_heads"])

    whole, tiles = io["list_global"], io["list_local"]
    side, small = round(whole.shape[1] ** 0.5), round(tiles.shape[1] ** 0.5)
    first = {view: ShellTokens(ids[:1], torch.ones(1, ids.shape[1], dtype=bool)) for view in batch}
    layouts = {"list_out_global_only": None, "list_out_with_local_2x2": (2, 2), "list_out_with_local_w4h1": (4, 1)}
    for name, grid in layouts.items():
        if grid is None:
            query = Given(whole, ((side, side),))
        else:
            grids = ((grid[1] * small, grid[0] * small), (side, side))
            query = Given(torch.cat([merged(tiles[None], grid), whole], dim=1), grids)
        tokens = projector(case, kind, query)(first)
        assert tokens.mask.all()
        close(tokens.x[0], io[name], name, TOLERANCE)


@component("deepmolm", "fusion")
def fusion(case: Case, tmp_path) -> None:
    check_projector(case, "attention")


@component("deepmolm", "fusion_fallback_heads")
def fallback_heads(case: Case, tmp_path) -> None:
    assert deepmolm.heads(case.config, case.config["hidden_size"]) == int(case.arrays("io")["num_heads"])
    check_projector(case, "attention")


@component("deepmolm", "concat")
def concat(case: Case, tmp_path) -> None:
    check_projector(case, "concat")


@component("deepmolm", "linear")
def linear(case: Case, tmp_path) -> None:
    check_projector(case, "linear")


@component("deepmolm", "joint_embed")
def joint_embed(case: Case, tmp_path) -> None:
    io = case.arrays("io")
    state = convert(case.weights(), deepmolm.JOINT_RULES, "3D-MolT5").state
    words, bits = state["words.weight"], len(state["table.weight"]) - 1
    mix = "concat" if "joiner.0.weight" in state else "sum"
    tokens = E3FPTokens(words.shape[1], "joint", E3FPView(bits=bits), mix=mix, compat=True)
    tokens.words = torch.nn.Embedding(*words.shape)
    tokens.load_state_dict(state)
    ids, shells = io["input_ids"], io["molecule_fp_ids"]
    none = torch.full_like(shells, -1)
    close(tokens.joint(ids, shells), io["y_1d3d"], "both", TOLERANCE)
    close(tokens.joint(ids, none), io["y_1d_only_input"], "SELFIES alone", TOLERANCE)
    if mix == "concat":  # no special case: </s>, which is 1, in every place
        close(tokens.joint(torch.ones_like(ids), shells), io["y_3d_only_input"], "E3FP alone", TOLERANCE)
    else:
        close(tokens.mean(shells), io["y_3d_only_input"], "E3FP alone", TOLERANCE)


@component("deepmolm", "real_size")
def real_size(case: Case, tmp_path) -> None:
    known = json.loads((case.folder / "real_size.json").read_text())
    with torch.device("meta"):
        images = DeepEncoder()
        fused = {kind: CrossAttention(images, E3FPTokens(3584 if kind == "attention" else 896), kind=kind, layout=True)
                 for kind in ("attention", "concat", "linear")}  # fmt: skip

    def count(module, but=None):
        return sum(p.numel() for p in module.parameters()) - (0 if but is None else count(but))

    assert count(images) == known["deepencoder_total"]
    assert count(images.sam) == known["sam_total"]
    assert count(images.sam.proj) == known["sam_net2_net3"]
    assert count(images.sam.neck) == known["sam_neck"]
    assert images.sam.pos_embed.numel() == known["sam_pos_embed"]
    assert count(images.clip) == known["clip_total"]
    assert images.clip.patch.numel() == known["clip_unused_patch_conv"]
    assert count(fused["attention"], images) == known["projector_fusion"]
    assert count(fused["concat"], images) == known["projector_concat"]
    assert count(fused["linear"], images) == known["projector_linear"]
    layer, parts = fused["attention"].layers[0], known["projector_fusion_parts"]
    assert count(fused["attention"].projection) == parts["image_proj"]
    assert count(fused["attention"].context) == parts["molecule_embed"]
    assert count(layer.attention) == parts["cross_attn"]
    assert count(layer.up) + count(layer.down) == parts["ffn"]
    assert layer.attention.num_heads == known["projector_fusion_heads"]

    # Every published key has its place, of its shape.
    beside = {k: v for k, v in fused["attention"].state_dict().items() if not k.startswith("query.")}
    for keys, convert_, ours in (
        ("projector_keys", deepmolm.projector, beside),
        ("sam_keys", lambda s: convert(s, deepseek_ocr.SAM_RULES, "SAM"), images.sam.state_dict()),
        ("clip_keys", lambda s: convert(s, deepseek_ocr.CLIP_RULES, "CLIP"), images.clip.state_dict()),
    ):
        published = {k: torch.empty(shape, device="meta") for k, shape in known[keys].items()}
        state = convert_(published).state
        assert {k: v.shape for k, v in state.items()} == {k: v.shape for k, v in ours.items()}, keys
