"""
Where a robot can stand in a house, and how far it is from there to a goal.

A grid of cells says how much room there is around each cell's middle; distances run along the
free cells (geodesic distance). The grid's steps go in 16 directions, so a distance is at most
2.7 % longer than the shortest way, and exact where the goal is in sight.
Frame: the house's (REP-103: x east, y north), metres.
"""

from __future__ import annotations

from dataclasses import dataclass

from janusvln_ros.sim.house import clearance, House, ROBOT_RADIUS, WALL_THICKNESS
import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.sparse import csgraph

RESOLUTION = 0.05  # m, edge of a cell
COMFORT = 0.45  # m, room around the robot's middle that a comfortable way keeps where it can
_PRICE = 1.5  # extra cost per metre of a way that touches obstacles, falling to 0 at COMFORT
_REACH = 0.6  # m, clearances are not told apart beyond
_SNAP = 0.3  # m, how far a goal may lie from the nearest free cell
_ENTRIES = (1, 3)  # cells around a point in which its way may begin
# Half of the 16 directions, as (rows, columns); the graph has both senses of each.
_STEPS = ((0, 1), (1, 0), (1, 1), (1, -1), (1, 2), (2, 1), (2, -1), (1, -2))


class FreeSpace:
    """
    The free space of a house for a round robot.

    clearance: float32 (rows, columns), metres from a cell's middle to the nearest obstacle, at
    most 0.6; 0 outside rooms and doorways. free: bool (rows, columns). Row 0, column 0 is at
    `origin`, the middle of the cell with the least x and y.
    """

    def __init__(
        self, house: House, *, robot_radius: float = ROBOT_RADIUS, resolution: float = RESOLUTION
    ) -> None:
        self.house = house
        self.robot_radius = robot_radius
        self.resolution = resolution
        x0, y0, x1, y1 = house.bounds
        self.origin = np.array([x0, y0]) + resolution / 2
        self.shape = (int(np.ceil((y1 - y0) / resolution)), int(np.ceil((x1 - x0) / resolution)))
        self.clearance = self._clearances()
        self.free = self.clearance >= robot_radius
        self._nodes = np.flatnonzero(self.free.ravel())
        self.points = self.centres(self._nodes)  # (n, 2) middles of all free cells
        self._node_of = np.full(self.shape, -1)
        self._node_of.ravel()[self._nodes] = np.arange(len(self._nodes))
        self._edges = self._neighbours()
        self._graphs: dict[bool, sparse.csr_array] = {}
        self._solved: dict[tuple[bytes, bool], tuple] = {}  # what fields consist of, beside self

    def centres(self, flat: np.ndarray) -> np.ndarray:
        """Give the middles (n, 2) of cells by their flat index."""
        rows, columns = np.divmod(flat, self.shape[1])
        return self.origin + self.resolution * np.stack([columns, rows], axis=-1)

    def clearance_at(self, points: np.ndarray) -> np.ndarray:
        """Give the clearance in metres of the cells at points (..., 2); 0 outside the grid."""
        cells = np.rint((np.asarray(points) - self.origin) / self.resolution).astype(np.int64)
        column, row = cells[..., 0], cells[..., 1]
        inside = (row >= 0) & (row < self.shape[0]) & (column >= 0) & (column < self.shape[1])
        values = self.clearance[np.where(inside, row, 0), np.where(inside, column, 0)]
        return np.where(inside, values, 0.0)

    def line_is_free(
        self, start: ArrayLike, end: ArrayLike, clearance: float | None = None
    ) -> bool:
        """Tell whether a straight way has `clearance` (default: the robot) all along."""
        first, last = np.asarray(start), np.asarray(end)
        needed = self.robot_radius if clearance is None else clearance
        count = 2 + int(np.hypot(*(last - first)) / (self.resolution / 2))
        along = np.linspace(0.0, 1.0, count)[:, None]
        return bool((self.clearance_at(first + along * (last - first)) >= needed).all())

    def field(self, goals: np.ndarray, *, comfortable: bool = False) -> DistanceField:
        """
        Compute the distance of every free cell to the nearest of `goals` (n, 2).

        With `comfortable`, ways near obstacles cost more, and the field's values are no metres.
        What was computed is kept. Raises ValueError where a goal is farther than 0.3 m from every
        free cell.
        """
        goals = np.atleast_2d(np.asarray(goals, dtype=np.float64))
        key = goals.tobytes(), comfortable
        if key not in self._solved:
            nodes = np.array([self.node_at(*goal) for goal in goals])
            goal_of_node = {int(node): goal for node, goal in zip(nodes, goals)}
            self._solved[key] = (
                *csgraph.dijkstra(
                    self._graph(comfortable),
                    indices=np.unique(nodes),
                    min_only=True,
                    return_predecessors=True,
                ),
                goal_of_node,
            )
        # A field that was kept here would hold this space, and both live until a full collection.
        return DistanceField(self, *self._solved[key])

    def nodes_near(self, x: float, y: float, reach: int) -> np.ndarray:
        """Give the free cells at most `reach` cells away in x and y; indices into `points`."""
        column, row = np.rint((np.array([x, y]) - self.origin) / self.resolution).astype(int)
        window = self._node_of[
            max(row - reach, 0) : max(row + reach + 1, 0),
            max(column - reach, 0) : max(column + reach + 1, 0),
        ]
        return window[window >= 0]

    def node_at(self, x: float, y: float) -> int:
        """Give the free cell nearest to a point; ValueError if none is within 0.3 m or so."""
        nodes = self.nodes_near(x, y, round(_SNAP / self.resolution))
        if not len(nodes):
            raise ValueError(
                f'({x:.2f}, {y:.2f}) is not within {_SNAP} m of a place where the '
                f'robot can stand, in house {self.house.seed}'
            )
        return int(nodes[np.hypot(*(self.points[nodes] - (x, y)).T).argmin()])

    def _clearances(self) -> np.ndarray:
        """Measure each cell's distance to the obstacles near it, in a window around each."""
        rows, columns = self.shape
        grid = np.full(self.shape, _REACH, dtype=np.float32)
        for obstacle in self.house.obstacles():
            reach = np.hypot(obstacle[3], obstacle[4]) + obstacle[5] + _REACH
            low = np.floor((obstacle[:2] - reach - self.origin) / self.resolution).astype(int)
            high = np.ceil((obstacle[:2] + reach - self.origin) / self.resolution).astype(int) + 1
            c0, r0 = np.maximum(low, 0)
            c1, r1 = np.minimum(high, (columns, rows))
            x = self.origin[0] + self.resolution * np.arange(c0, c1)
            y = self.origin[1] + self.resolution * np.arange(r0, r1)
            window = np.stack(np.meshgrid(x, y), axis=-1)
            grid[r0:r1, c0:c1] = np.minimum(grid[r0:r1, c0:c1], clearance(obstacle[None], window))
        inside = np.zeros(self.shape, dtype=bool)
        for room in self.house.rooms:
            self._fill(inside, room.x0, room.y0, room.x1, room.y1)
        for door in self.house.doors:
            half = np.array([WALL_THICKNESS, door.width / 2])
            dx, dy = half if door.axis == 'x' else half[::-1]
            self._fill(inside, door.x - dx, door.y - dy, door.x + dx, door.y + dy)
        return np.where(inside, grid, np.float32(0.0))

    def _fill(self, mask: np.ndarray, x0: float, y0: float, x1: float, y1: float) -> None:
        c0, r0 = np.ceil((np.array([x0, y0]) - self.origin) / self.resolution).astype(int)
        c1, r1 = np.floor((np.array([x1, y1]) - self.origin) / self.resolution).astype(int) + 1
        mask[max(r0, 0) : r1, max(c0, 0) : c1] = True

    def _neighbours(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Join free cells in 16 directions: (from, to, metres), each edge once."""
        free = np.pad(self.free, 2)
        index = np.pad(self._node_of, 2, constant_values=-1)
        rows, columns = self.shape
        starts, ends, lengths = [], [], []
        for dr, dc in _STEPS:
            joined = self.free.copy()
            # All cells that the step passes have to be free: no corner is cut.
            for r in range(min(0, dr), max(0, dr) + 1):
                for c in range(min(0, dc), max(0, dc) + 1):
                    if abs(r * dc - c * dr) <= 1:
                        joined &= free[2 + r : 2 + r + rows, 2 + c : 2 + c + columns]
            starts.append(index[2:-2, 2:-2][joined])
            ends.append(index[2 + dr : 2 + dr + rows, 2 + dc : 2 + dc + columns][joined])
            lengths.append(np.full(len(ends[-1]), self.resolution * np.hypot(dr, dc)))
        return np.concatenate(starts), np.concatenate(ends), np.concatenate(lengths)

    def _graph(self, comfortable: bool) -> sparse.csr_array:
        if comfortable not in self._graphs:
            start, end, cost = self._edges
            if comfortable:
                room = self.clearance.ravel()[self._nodes]
                narrow = np.clip((COMFORT - room) / (COMFORT - self.robot_radius), 0.0, 1.0)
                cost = cost * (1.0 + _PRICE * (narrow[start] + narrow[end]) / 2)
            count = len(self._nodes)
            half = sparse.coo_array((cost, (start, end)), shape=(count, count))
            self._graphs[comfortable] = (half + half.T).tocsr()
        return self._graphs[comfortable]


@dataclass(frozen=True)
class DistanceField:
    """
    Distances to the nearest of some goals, from everywhere; see FreeSpace.field.

    From a place that no way leads from on the grid, ways begin at the nearest place with one.
    """

    space: FreeSpace
    values: np.ndarray  # (n,) for each free cell: metres (or cost), inf where no way leads
    before: np.ndarray  # (n,) the next cell on the way to the goal
    source: np.ndarray  # (n,) the cell of the goal that the way leads to
    goal_of_node: dict[int, np.ndarray]

    def distance(self, x: float, y: float) -> float:
        """Give the geodesic distance in metres from a point."""
        node, total = self._enter(x, y)
        goal = self.goal_of_node[int(self.source[node])]
        straight = float(np.hypot(goal[0] - x, goal[1] - y))
        if straight <= self.space.resolution or self.space.line_is_free((x, y), goal):
            return straight
        return total

    def reaches(self, x: float, y: float) -> bool:
        """Tell whether the cell nearest to a point has a way to a goal."""
        return bool(np.isfinite(self.values[self.space.node_at(x, y)]))

    def cost(self, x: float, y: float) -> float:
        """Give the value of the field at a point."""
        return self._enter(x, y)[1]

    def trace(self, x: float, y: float, limit: float = np.inf) -> np.ndarray:
        """Give the way from a point to its goal, cell by cell, (n, 2), at most `limit` metres."""
        node, _ = self._enter(x, y)
        nodes = [node]
        most = limit / self.space.resolution
        while self.before[nodes[-1]] >= 0 and len(nodes) < most:
            nodes.append(int(self.before[nodes[-1]]))
        return np.concatenate([[(x, y)], self.space.points[nodes]])

    def path(self, x: float, y: float) -> np.ndarray:
        """
        Give the way from a point to its goal as few straight pieces, (n, 2).

        Its first point is the point itself.
        """
        cells = self.trace(x, y)
        corners = [0]
        while corners[-1] < len(cells) - 1:
            at = corners[-1]
            # The farthest cell in sight, by doubling and halving along the way.
            seen, step = at + 1, 1
            while step:
                ahead = min(seen + step, len(cells) - 1)
                if ahead > seen and self.space.line_is_free(cells[at], cells[ahead]):
                    seen, step = ahead, step * 2
                else:
                    step //= 2
            corners.append(seen)
        return cells[corners]

    def _enter(self, x: float, y: float) -> tuple[int, float]:
        """Find the cell through which the way from a point is shortest; its index, and metres."""
        for reach in _ENTRIES:
            nodes = self.space.nodes_near(x, y, reach)
            nodes = nodes[np.isfinite(self.values[nodes])]
            if len(nodes):
                break
        else:
            # A robot squeezes a little farther than the grid has ways: on from the nearest one.
            nodes = np.flatnonzero(np.isfinite(self.values))
            away = np.hypot(*(self.space.points[nodes] - (x, y)).T)
            nodes = nodes[away <= away.min() + self.space.resolution]
        totals = self.values[nodes] + np.hypot(*(self.space.points[nodes] - (x, y)).T)
        best = int(totals.argmin())
        return int(nodes[best]), float(totals[best])


def places_around(space: FreeSpace, corners: np.ndarray, near: float, far: float) -> np.ndarray:
    """
    Give the free cells whose distance to a convex footprint (k, 2) is in [near, far], (n, 2).

    `corners` runs counter-clockwise; distances are metres.
    """
    near_by = space.points[
        (space.points >= corners.min(axis=0) - far).all(axis=1)
        & (space.points <= corners.max(axis=0) + far).all(axis=1)
    ]
    edge = np.roll(corners, -1, axis=0) - corners  # (k, 2)
    to_point = near_by[:, None] - corners  # (n, k, 2)
    along = np.clip((to_point * edge).sum(-1) / (edge**2).sum(-1), 0.0, 1.0)
    distance = np.linalg.norm(to_point - along[..., None] * edge, axis=-1).min(axis=1)
    cross = edge[:, 0] * to_point[..., 1] - edge[:, 1] * to_point[..., 0]
    distance[(cross >= 0).all(axis=1)] = 0.0
    return near_by[(distance >= near) & (distance <= far)]
