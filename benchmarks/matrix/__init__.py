"""The parts of fault_matrix.py: a scene, its faults as rows, a trial of one, and the table."""
