"""The data that ships with molfusion, and the generator that made it (`python -m molfusion.demo.build`).

Molecules from the NCI list inside the RDKit wheel, each with coordinates and a caption of facts that RDKit states
about the graph (`2d`), its double bonds (`ez`), the conformer (`3d`) and its handedness (`chi`); and molecules of QM9.
"""
