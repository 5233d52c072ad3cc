"""The networks; `catalog` maps names to their builders, `weights` reads and writes what they have learnt."""
