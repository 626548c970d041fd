from molfusion.batch import Record
from molfusion.views import GraphView


def test_a_batch_is_one_graph_with_offsets():
    view = GraphView()
    batch = view.collate([view.featurise(Record("a", s, s)) for s in ("CO", "C", "CN")])
    assert batch.x.shape == (5, 9)
    assert batch.batch.tolist() == [0, 0, 1, 2, 2]
    assert batch.ptr.tolist() == [0, 2, 3, 5]
    assert batch.edge_index.tolist() == [[0, 1, 3, 4], [1, 0, 4, 3]]
    assert batch.edge_attr.shape == (4, 3)
