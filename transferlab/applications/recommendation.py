"""Generated ratings: users with tastes, items with traits, and a table that is mostly empty.

The ratings come from the model that recommender systems fit, plus noise: the popularity of the
item, and how well the item's traits match the user's taste.

Source of the model: Koren, Bell and Volinsky, Matrix Factorization Techniques for Recommender
Systems (2009).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from transferlab.data.places import data_folder
from transferlab.errors import InputError

STARS = (0.5, 5.0)  # the least and the most, as in MovieLens


@dataclass(frozen=True)
class Ratings:
    """Ratings in three columns: `user` gave `item` so many `stars`. Each pair occurs once.

    Attributes:
        user, item: numbers from 0 up, shape (N,).
        stars: shape (N,).
        users, items: how many there are, including those without a rating.
        name: where the ratings come from.
    """

    user: Tensor
    item: Tensor
    stars: Tensor
    users: int
    items: int
    name: str = "ratings"

    def __post_init__(self) -> None:
        n = len(self.stars)
        if not n or self.user.shape != (n,) or self.item.shape != (n,):
            raise InputError(
                f"{self.name}: found columns of {len(self.user)}, {len(self.item)} and {n} rows; "
                "expected the same number in each, and at least one."
            )
        pairs = ((self.user, self.users, "user"), (self.item, self.items, "item"))
        for column, count, what in pairs:
            if column.min() < 0 or column.max() >= count:
                raise InputError(
                    f"{self.name}: {what}s {int(column.min())} to {int(column.max())}; "
                    f"expected 0 to {count - 1}."
                )

    def __len__(self) -> int:
        return len(self.stars)

    def __repr__(self) -> str:
        share = len(self) / (self.users * self.items)
        return (
            f"{self.name}: {len(self):,} ratings of {self.items:,} items by {self.users:,} users "
            f"({share:.1%} of the table)"
        )

    def of(self, users: Tensor) -> "Ratings":
        """Return the ratings of some users, shape (U,), renumbered from 0 to U − 1."""
        number = torch.full((self.users,), -1)
        number[users] = torch.arange(len(users))
        kept = number[self.user] >= 0
        return Ratings(
            number[self.user[kept]],
            self.item[kept],
            self.stars[kept],
            len(users),
            self.items,
            self.name,
        )

    def rows(self, index: Tensor) -> "Ratings":
        """Return the rows at `index`; the numbers of users and items stay."""
        columns = self.user[index], self.item[index], self.stars[index]
        return Ratings(*columns, self.users, self.items, self.name)

    def shuffled_within_users(self, seed: int) -> tuple["Ratings", Tensor]:
        """Return the rows user by user, in random order within each; and each row's rank, from 0.

        The first k ratings of every user are the rows whose rank is below k.
        """
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(self), generator=generator)
        order = order[self.user[order].argsort(stable=True)]
        counts = self.user.bincount(minlength=self.users)
        first = counts.cumsum(0) - counts  # where each user's rows begin
        rank = torch.arange(len(self)) - first[self.user[order]]
        return self.rows(order), rank


def ratings(
    users: int,
    items: int = 200,
    seed: int = 0,
    *,
    tastes: int = 4,
    per_user: int = 40,
    noise: float = 0.5,
    world: int = 0,
) -> Ratings:
    """Generate the ratings of `users` people; half stars from 0.5 to 5, `per_user` each.

    The stars are 3.4 + popularity of the item + taste · traits + noise, rounded. The standard
    deviations of the three are 0.5, 0.8 and `noise`. A user rates popular items more often, and
    items to the user's taste more often, as people do.

    Args:
        tastes: how many traits an item has; a user's taste has a weight for each.
        seed: draws the users and what they rate.
        world: draws the items. Two calls with the same `world`, `items` and `tastes` are about
            the same items.
    """
    if users < 1 or tastes < 1 or noise < 0:
        raise InputError(
            f"ratings: found {users=}, {tastes=} and {noise=}; expected at least 1, 1 and 0."
        )
    if not 1 <= per_user <= items:
        raise InputError(f"ratings: per_user={per_user}; expected 1 to {items}, the items.")
    the_items = torch.Generator().manual_seed(world)
    popularity = 0.5 * torch.randn(items, generator=the_items)
    traits = torch.randn(items, tastes, generator=the_items)

    people = torch.Generator().manual_seed(seed)
    taste = torch.randn(users, tastes, generator=people) * 0.8 / tastes**0.5
    liking = popularity + taste @ traits.T  # (users, items)
    stars = 3.4 + liking + noise * torch.randn(users, items, generator=people)
    stars = (2 * stars).round().div(2).clamp(*STARS)

    # The largest of (what draws a user to an item + Gumbel noise) are a draw without replacement.
    uniform = torch.rand(users, items, generator=people).clamp(1e-9, 1 - 1e-7)
    chosen = (liking - (-uniform.log()).log()).topk(per_user, dim=1).indices
    user = torch.arange(users).repeat_interleave(per_user)
    item = chosen.flatten()
    return Ratings(user, item, stars[user, item], users, items, "generated ratings")


def movielens() -> Ratings:
    """Return the real ratings of `ml-latest-small`: about 100,000, of films, by about 600 people.

    Source: Harper and Konstan, The MovieLens Datasets: History and Context (2015).
    """
    inside, folder = "ml-latest-small/ratings.csv", data_folder()
    if folder is None or not (folder / inside).is_file():
        where = "TRANSFERLAB_DATA is not set" if folder is None else f"{folder} has no such file"
        raise InputError(
            f"MovieLens is not on this machine ({where}); unpack ml-latest-small.zip of "
            f"grouplens.org into the folder that TRANSFERLAB_DATA names, to {inside}."
        )
    try:
        columns = np.loadtxt(folder / inside, delimiter=",", skiprows=1, usecols=(0, 1, 2))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder / inside} is damaged; expected lines of userId,movieId,rating,timestamp."
        ) from error
    # Films have numbers up to 200,000 with gaps; ours run from 0 without gaps.
    users, user = np.unique(columns[:, 0], return_inverse=True)
    films, item = np.unique(columns[:, 1], return_inverse=True)
    stars = torch.tensor(columns[:, 2], dtype=torch.float32)
    user, item = torch.from_numpy(user), torch.from_numpy(item)
    return Ratings(user, item, stars, len(users), len(films), "MovieLens")
