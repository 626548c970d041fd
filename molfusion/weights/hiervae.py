"""The hierarchical decoder of 3M-Diffusion's stage 2 (`model.49`), and the hierarchical encoder of hgraph2graph.

Ours are `HierDecoder(compat=True)` and `HierEncoder(tokens="both")`. Tables have a row a motif and a pair: the vocabulary
that was published beside the weights must be used, in its order (`motifs_vocabulary.released_vocabulary`).
"""

from molfusion.weights.keys import Rule, under

_GATES = {"W_i": "input", "W_o": "output", "W": "candidate", "W_f": "forget"}
_LEVELS = {"graph": "atom", "inter": "pair", "tree": "motif"}
_RESET = {"W_z": "update", "W_r": "reset_own", "U_r": "reset_near", "W_h": "candidate"}

# The three levels of message passing, which encoder and decoder share in form.
LEVEL_RULES = [
    Rule(r"E_c\.0\.weight", "motifs.weight"),
    Rule(r"E_i\.0\.weight", "pairs.weight"),
    Rule(r"W_c\.0\.(\w+)", r"motif_in.\1"),
    Rule(r"W_i\.0\.(\w+)", r"pair_in.\1"),
    Rule(r"W_root\.0\.(\w+)", r"root.\1"),
    *(
        rule
        for theirs, ours in _LEVELS.items()
        for rule in (
            Rule(rf"{theirs}_encoder\.W_o\.0\.(\w+)", rf"{ours}_out.\1"),
            *(Rule(rf"{theirs}_encoder\.rnn\.{gate}\.0\.(\w+)", rf"{ours}_lstm.{name}.\1") for gate, name in _GATES.items()),
            *(Rule(rf"{theirs}_encoder\.rnn\.{gate}\.(\w+)", rf"{ours}_lstm.{name}.\1") for gate, name in _RESET.items()),
        )
    ),
]

DECODER_RULES = [
    *under(LEVEL_RULES, r"hmpn\.", "network."),
    Rule(r"(rnn_cell|E_assm)\..+", None),  # the motif level's LSTM and the table of pairs, once more
    Rule(r"W_root\.(\w+)", r"network.start.\1"),
    *(
        Rule(rf"{theirs}\.{their_place}\.(\w+)", rf"network.{ours}_head.{our_place}.\1")
        for theirs, ours in (("topoNN", "topology"), ("clsNN", "motif"), ("iclsNN", "pair"))
        for their_place, our_place in ((0, 0), (3, 2))
    ),
    Rule(r"matchNN\.0\.(\w+)", r"network.anchor.\1"),
    Rule(r"W_assm\.(\w+)", r"network.assembly.\1"),
]

# Beside the rest of `model.49` (threemdiffusion.autoencoder).
IN_AUTOENCODER = under(DECODER_RULES, r"decoder\.", "")
