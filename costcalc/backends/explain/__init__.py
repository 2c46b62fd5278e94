"""How figures come about: of a layer, of a block, and in closed form."""
