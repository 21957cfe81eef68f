"""Generated ratings: what the rule promises; and the table's own arithmetic."""

import pytest
import torch

from transferlab import InputError
from transferlab.applications.recommendation import STARS, Ratings, movielens, ratings


def small() -> Ratings:
    """Three users and four items; user 1 has rated nothing."""
    return Ratings(
        torch.tensor([0, 2, 2, 0, 2]),
        torch.tensor([3, 0, 1, 2, 3]),
        torch.tensor([1.0, 2, 3, 4, 5]),
        users=3,
        items=4,
    )


# ---- the generator -------------------------------------------------------------------------------


def test_shape_and_stars():
    found = ratings(50, 30, per_user=12)
    assert len(found) == 600 and (found.users, found.items) == (50, 30)
    assert found.user.bincount().tolist() == [12] * 50
    assert found.stars.min() >= STARS[0] and found.stars.max() <= STARS[1]
    assert torch.equal(2 * found.stars, (2 * found.stars).round())
    assert found.name == "generated ratings"  # printing it shows that it is not real
    assert (
        str(found) == "generated ratings: 600 ratings of 30 items by 50 users (40.0% of the table)"
    )


def test_nobody_rates_an_item_twice():
    found = ratings(40, 25, per_user=10)
    assert len({*zip(found.user.tolist(), found.item.tolist(), strict=True)}) == 400


def test_one_seed_is_one_set():
    torch.manual_seed(1)
    one = ratings(20, seed=3)
    torch.manual_seed(2)
    two, other = ratings(20, seed=3), ratings(20, seed=4)
    assert torch.equal(one.stars, two.stars) and torch.equal(one.item, two.item)
    assert not torch.equal(one.item, other.item)


def all_means(world: int, seed: int) -> torch.Tensor:
    """Return the mean stars of each item, when many people rate every item."""
    table = ratings(3000, 20, seed, per_user=20, world=world)
    return torch.zeros(20).index_add_(0, table.item, table.stars) / 3000


def test_a_world_keeps_its_items_whoever_rates_them():
    one, same, other = all_means(0, 1), all_means(0, 2), all_means(5, 1)
    assert torch.allclose(one, same, atol=0.12)
    assert not torch.allclose(one, other, atol=0.5)


def test_the_parts_of_a_rating_have_the_promised_sizes():
    """Without taste nor noise to speak of, an item gets the same stars from everyone."""
    table = ratings(2000, 100, per_user=100, noise=0)
    stars = table.stars[table.item.argsort(stable=True)].view(100, 2000)
    assert stars.mean(1).std() == pytest.approx(0.5, abs=0.12)  # popularity
    assert stars.std(1).mean() == pytest.approx(0.8, abs=0.12)  # taste · traits
    noisy = ratings(2000, 100, per_user=100, noise=1)
    spread = noisy.stars[noisy.item.argsort(stable=True)].view(100, 2000).std(1).mean()
    assert spread == pytest.approx((0.8**2 + 1) ** 0.5, abs=0.25)  # less: stars end at 5


def test_popular_items_are_rated_more_often():
    table = ratings(500, 60, per_user=10)
    counts = table.item.bincount(minlength=60).float()
    popular = ratings(500, 60, per_user=60)  # everybody rates all
    means = torch.zeros(60).index_add_(0, popular.item, popular.stars) / 500
    assert torch.corrcoef(torch.stack([counts, means]))[0, 1] > 0.7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"users": 0}, "users=0"),
        ({"users": 3, "tastes": 0}, "tastes=0"),
        ({"users": 3, "noise": -1.0}, r"noise=-1\.0"),
        ({"users": 3, "items": 5, "per_user": 6}, "per_user=6; expected 1 to 5"),
    ],
)
def test_what_cannot_be_generated(arguments, message):
    with pytest.raises(InputError, match=message):
        ratings(**arguments)


# ---- the table -----------------------------------------------------------------------------------


def test_some_users_are_renumbered():
    part = small().of(torch.tensor([2, 1]))
    assert part.users == 2 and part.items == 4
    assert part.user.tolist() == [0, 0, 0]
    assert part.item.tolist() == [0, 1, 3] and part.stars.tolist() == [2, 3, 5]


def test_rows_keep_the_numbers():
    part = small().rows(torch.tensor([4, 0]))
    assert (part.users, part.user.tolist(), part.stars.tolist()) == (3, [2, 0], [5, 1])


def test_shuffled_within_users():
    rows, rank = small().shuffled_within_users(seed=0)
    assert rows.user.tolist() == [0, 0, 2, 2, 2]
    assert rank.tolist() == [0, 1, 0, 1, 2]
    pairs = [*zip(rows.user.tolist(), rows.item.tolist(), rows.stars.tolist(), strict=True)]
    table = small()
    expected = zip(table.user.tolist(), table.item.tolist(), table.stars.tolist(), strict=True)
    assert sorted(pairs) == sorted(expected)


def test_the_order_within_a_user_is_random_but_for_the_seed():
    table = ratings(30, per_user=20)
    one, same, other = (table.shuffled_within_users(seed)[0] for seed in (0, 0, 1))
    assert torch.equal(one.item, same.item) and torch.equal(one.user, other.user)
    assert not torch.equal(one.item, other.item)


def test_columns_that_do_not_fit_are_refused():
    user, item, stars = torch.tensor([0, 1]), torch.tensor([0, 4]), torch.ones(2)
    with pytest.raises(InputError, match="found columns of 2, 2 and 1 rows"):
        Ratings(user, item, stars[:1], 2, 5)
    with pytest.raises(InputError, match="items 0 to 4; expected 0 to 3"):
        Ratings(user, item, stars, 2, 4)
    with pytest.raises(InputError, match="at least one"):
        Ratings(user[:0], item[:0], stars[:0], 2, 5)


# ---- MovieLens -----------------------------------------------------------------------------------


def test_movielens_is_read_and_renumbered(monkeypatch, tmp_path):
    monkeypatch.setenv("TRANSFERLAB_DATA", str(tmp_path))
    (tmp_path / "ml-latest-small").mkdir()
    file = tmp_path / "ml-latest-small" / "ratings.csv"
    file.write_text("userId,movieId,rating,timestamp\n1,50,4.0,9\n7,50,0.5,9\n7,190000,5.0,9\n")
    found = movielens()
    assert (found.users, found.items, found.name) == (2, 2, "MovieLens")
    assert found.user.tolist() == [0, 1, 1] and found.item.tolist() == [0, 0, 1]
    assert found.stars.tolist() == [4, 0.5, 5]
    file.write_text("userId,movieId,rating,timestamp\n1,fifty,4.0,9\n")
    with pytest.raises(InputError, match=r"ratings.csv is damaged; expected lines of userId"):
        movielens()


def test_an_absent_movielens_says_which_file_to_put_where(monkeypatch, tmp_path):
    monkeypatch.setenv("TRANSFERLAB_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"no such file.*ml-latest-small.zip.*ratings\.csv"):
        movielens()
    monkeypatch.delenv("TRANSFERLAB_DATA")
    with pytest.raises(InputError, match="TRANSFERLAB_DATA is not set"):
        movielens()
