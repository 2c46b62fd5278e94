# ruff: noqa: E501 (one mistake a line, its sentence whole)
"""Each mistake is answered by one sentence that says where, what, and what would do."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import costcalc
from costcalc.errors import CostcalcError
from costcalc.ir.graph import Graph

Build = Callable[..., Graph]

# name → the spec, the place, the sentence. The file is called net.yaml; specs.whole adds what is not written.
MISTAKES: dict[str, tuple[str, str, str]] = {
    # -- YAML
    "a colon too many": ("- a: b: c", "2:7", "this is not valid YAML: mapping values are not allowed in this context; one line has one ': '; the options of a call have '=': conv(4, kernel=3)"),
    "a quote not closed": ("- 'relu", "4:1", "this is not valid YAML: found unexpected end of stream"),
    "a key twice": ("name: a\nname: b\nlayers: [relu]", "2:1", "'name' stands here twice"),
    "a tag": ("- !!python/object:os.system relu", "2:3", "the tag 'tag:yaml.org,2002:python/object:os.system' is not allowed; specs have no tags"),
    "a list as key": ("layers:\n  - ? [a]\n    : relu", "2:7", "a key must be a word or an expression, not a list or a mapping"),
    "an unknown alias": ("- *tail", "2:3", "the alias '*tail' names nothing that is complete before it"),
    "an alias of itself": ("- a: &x [*x]", "2:10", "the alias '*x' names nothing that is complete before it"),
    "a call with brackets in brackets": ("layers: [conv(2, [1, 3])]", "1:24", "this is not valid YAML: did not find expected ',' or ']'; inside [ ] and { } a call that has [ ] or { } itself stands in quotes"),
    # -- the file
    "an unknown key": ("layer: [relu]\nlayers: [relu]", "1:1", "a spec has no key 'layer' (did you mean 'layers'?); it has blocks, inputs, layers, name, notes, outputs, parameters, source, task, title, use, variants, year"),
    "a name with spaces": ("name: my net\nlayers: [relu]", "1:7", "name: 'my net' has other characters than letters, digits, '_', '-' and '.'"),
    "a title that is a list": ("title: [a]\nlayers: [relu]", "1:8", "title is a text, not a list"),
    "no inputs": ("layers: [relu]\ninputs:", "1:1", "the spec has no inputs; write for example `inputs: {image: [3, 224, 224]}`"),
    "inputs that are no mapping": ("layers: [relu]\ninputs: [3, 224, 224]", "2:9", "inputs is a mapping of inputs with their shapes, not a list"),
    "an input without sizes": ("layers: [relu]\ninputs: {image: big}", "2:17", "input image needs the list of its sizes without the batch, like [3, 224, 224]"),
    "an input of size 0": ("layers: [relu]\ninputs: {image: [3, 0]}", "2:21", "an input's size must be a whole number from 1, not 0"),
    "an input of negative size": ("layers: [relu]\ninputs: {image: [3, -2]}", "2:21", "an input's size must be a whole number from 1, not -2"),
    "an input of no parameter": ("layers: [relu]\ninputs: {image: [3, res]}\nparameters: {size: 3}", "2:21", "no parameter 'res'; there are size"),
    "an unknown element type": ("layers: [relu]\ninputs: {x: {shape: [3], dtype: flaot32}}", "2:33", "no element type 'flaot32' (did you mean 'float32'?); there are bfloat16, bool, complex128, complex64, float16, float32, float4, float6, float64, float8, int16, int2, int32, int4, int64, int8, uint16, uint32, uint4, uint64, uint8"),
    "an input with an unknown key": ("layers: [relu]\ninputs: {x: {size: [3]}}", "2:14", "input x has no key 'size'; it has batch, dtype, layout, shape"),
    "an input without shape": ("layers: [relu]\ninputs: {x: {dtype: int8}}", "2:10", "input x has no shape"),
    "a batch that is neither": ("layers: [relu]\ninputs: {x: {shape: [3], batch: 4}}", "2:33", "batch must be True or False, not '4'"),
    "an input with 17 axes": (f"layers: [relu]\ninputs: {{x: {[1] * 17}}}", "2:13", "input x has 17 axes; 16 are the most"),
    "an input with a strange name": ("layers: [relu]\ninputs: {a b: [3]}", "2:10", "'a b' is not a name for an input; it has letters, digits, '_', '-' and '.'"),
    "layers that are empty": ("layers: []", "1:1", "the spec has no layers"),
    "a parameter that is a mapping": ("parameters: {a: {b: 1}}\nlayers: [relu]", "1:17", "a parameter is a number, a word or a list, not a mapping"),
    "a parameter that is not a word": ("parameters: {a-b: 1}\nlayers: [relu]", "1:14", "'a-b' is not a name for a parameter; it has letters, digits and '_'"),
    "a variant of unknown parameters": ("parameters: {depth: 1}\nvariants: {big: {deph: 3}}\nlayers: [relu]", "2:18", "variant big has no parameter 'deph' (did you mean 'depth'?); it has depth, inputs, like, notes, outputs, source, title, year"),
    "a variant like none": ("variants: {big: {like: smal}, small: {}}\nlayers: [relu]", "1:12", "no variant 'smal' (did you mean 'small'?)"),
    "variants in a circle": ("variants: {a: {like: b}, b: {like: a}}\nlayers: [relu]", "1:12", "variants are like each other in a circle: a → b → a"),
    "a variant with a strange name": ("variants: {a b: {}}\nlayers: [relu]", "1:12", "'a b' is not a name for a variant; it has letters, digits, '_', '-' and '.'"),
    "a file of blocks that is not there": ("use: nowhere.yaml\nlayers: [rellu]", "1:6", "there is no such file (nowhere.yaml)"),
    "a used file that is a mapping": ("use: {a: b}\nlayers: [relu]", "1:6", "the name of a file with blocks belongs here, not a mapping"),
    "outputs that are no names": ("layers: [relu]\noutputs: [[a]]", "2:11", "the name of a layer belongs here, not a list"),
    "an unknown output": ("layers: [a: relu]\noutputs: [b]", "2:11", "no layer before this one is named 'b'"),
    # -- steps
    "a list in a list": ("- [relu]", "2:3", "a list stands where a layer belongs; give it a name: `name: [...]`"),
    "an empty step": ("-", "2:2", "a layer is missing here"),
    "an empty mapping": ("- {}", "2:3", "an empty mapping stands where a layer belongs"),
    "two layers in one step": ("- a: relu\n  b: relu", "3:3", "'b' is a second layer in one step; begin it with a dash"),
    "a name without a layer": ("- conv1:", "2:3", "'conv1:' is followed by nothing; a layer or a list of them belongs there"),
    "a name with several layers, no dashes": ("- a:\n    b: relu\n    c: relu", "3:5", "'a' holds several layers; make them a list, with dashes"),
    "a strange name": ("- a b: relu", "2:3", "'a b' is not a name for a layer; a name has letters, digits, '_', '-' and '.'"),
    "a name that ends in a dot": ("- a.: relu", "2:7", "'a.' is not a name for a layer; a name has letters, digits, '_', '-' and '.'"),
    "a number as a layer": ("- 3", "2:3", "'3' is not the call of an op or a block, like conv(64, 3)"),
    "else without if": ("- relu\n- else: [relu]", "3:3", "'else' has no 'if' right before it"),
    "elif after else": ("- if 1: [relu]\n- else: [relu]\n- elif 1: [relu]", "4:3", "'elif' has no 'if' right before it"),
    "if without a condition": ("- if : [relu]", "2:3", "'if': if needs a condition"),
    "else with a condition": ("- if 1: [relu]\n- else channels: [relu]", "3:3", "'else channels': else is followed by nothing"),
    "for without in": ("- for i of range(3): [relu]", "2:3", "'for i of range(3)' is not a loop; a loop is written: for name in list"),
    "for into a number": ("- for 3 in [1]: [relu]", "2:3", "'for 3 in [1]' is not a loop; a loop is written: for name in list"),
    "from a list": ("- from: [relu]", "2:9", "the name of a layer belongs here"),
    "from an op": ("- a: relu\n- from: conv(3, 1)", "3:9", "'conv(3, 1)' is not the name of a layer; what is to be worked out in it stands in $( )"),
    "from what has no written name": ("- relu\n- from: relu", "3:9", "no layer before this one is named 'relu'; the layer that is called so has no written name, which a reference needs: `- name: op`"),
    "a name where a layer belongs": ("- for i in [0, 1]:\n    - a$i: relu\n- a$(0)", "4:3", "'a$(0)' is the name of a layer, not a layer; `from: a$(0)` goes back to its value"),
    "a dollar in an expression": ("- a1: relu\n- add: [[], a$i if 1 else image]", "3:13", "'a$i if 1 else image' is not an expression: `$` belongs in the names of layers"),
    "else without if among branches": ("- add: [[], else: [[]]]", "2:13", "'else' has no 'if' right before it"),
    "a branch after a loop of branches": ("- add:\n    - for i in [0]: [[]]\n      a: relu", "4:7", "'a' is a second layer in one step; begin it with a dash"),
    "no branch that holds": ("- add:\n    - []\n    - if channels > 3:\n        - []", "2:3", "add: add takes at least 2 inputs, not 1"),
    "a reference to nothing": ("- a: conv(3, 1)\n- add: [[], b]", "3:13", "no layer before this one is named 'b'"),
    "a reference to what comes later": ("- add: [[], late]\n- late: relu", "2:13", "no layer before this one is named 'late'"),
    "a reference misspelt": ("- encoder: relu\n- add: [[], encodre]", "3:13", "no layer before this one is named 'encodre' (did you mean 'encoder'?)"),
    "a layer called": ("- a: relu\n- a", "3:3", "'a' is a layer, not an op or a block; `from: a` goes back to its value"),
    "a layer where a list of values belongs": ("- a: relu\n- add: a", "3:8", "'a' is a layer, not an op or a block; values for add stand in a list, as in `add: [a, …]`"),
    "two layers with one name": ("- a: relu\n- a: relu", "3:6", "two layers are called 'a', here and at FILE:2"),
    "a layer that a loop makes again": ("- for i in [0, 1]:\n    - a: relu", "3:10", "this makes a second layer 'a'; in a loop a name holds what changes, like `a$i`"),
    "a name taken by an unnamed layer": ("- relu\n- relu: relu", "3:9", "two layers are called 'relu', here and at FILE:2"),
    "a name taken by an input": ("- image: relu", "2:10", "'image' is an input; a layer needs another name"),
    "a list of no inputs": ("- concat: []", "2:3", "concat: concat takes at least 1 inputs, not 0"),
    "a name with a dollar and nothing": ("- a$: relu", "2:3", "'a$': after '$' comes a name or (an expression)"),
    "a name with a list in it": ("- a$(shape): relu", "2:3", "'a$(shape)': [1, 3, 8, 8] is neither a whole number nor a word"),
    "a name that is too long": (f"- {'a' * 300}: relu", "2:305", f"the name '{'a' * 77}...' has 300 characters; 256 are the most"),
    # -- ops and blocks
    "an unknown op": ("- rellu", "2:3", "no op or block called 'rellu' (did you mean 'relu'?)"),
    "an unknown option": ("- conv(4, 3, grups=2)", "2:3", "conv has no option 'grups' (did you mean 'groups'?); it has bias, channels_last, dilation, groups, kernel, out_channels, padding, stride"),
    "a missing option": ("- conv(4)", "2:3", "conv needs kernel (a whole number from 1, or a list of one for each axis)"),
    "an option of size 0": ("- conv(0, 3)", "2:3", "conv: out_channels=0 must be a whole number from 1"),
    "an option that is a word": ("- conv('many', 3)", "2:3", "conv: out_channels='many' must be a whole number from 1"),
    "an option given twice": ("- conv(4, 3, kernel=3)", "2:3", "conv: kernel is given twice"),
    "an option repeated": ("- conv(4, 3, bias=True, bias=False)", "2:3", "'conv(4, 3, bias=True, bias=False)' gives an option twice"),
    "too many options": ("- relu(1)", "2:3", "relu takes no options but was given 1"),
    "options in stars": ("- conv(**{})", "2:3", "'conv(**{})': options are given one by one, not with '**'"),
    "a kernel larger than the input": ("- big: conv(4, 9)", "2:8", "big: the kernel spans 9, the padded input only 8 (input 1×3×8×8)"),
    "groups that do not divide": ("- c: conv(4, 3, groups=2)", "2:6", "c: groups=2 must divide the 3 input channels (input 1×3×8×8)"),
    "branches of different shape": ("- add: [[], conv(4, 1)]", "2:3", "axis 1 of the inputs is 3 and 4; the sizes must be equal, or one of them 1 (input 1×3×8×8 and 1×4×8×8)"),
    "one input for two": ("- add", "2:3", "add: add takes at least 2 inputs, not 1"),
    "two inputs for one": ("- x: {relu: [image, image]}", "2:7", "x: relu takes 1 inputs, not 2"),
    "a block with a missing parameter": ("blocks: {b(out): [conv(out, 1)]}\nlayers: [b]", "2:10", "block b needs out"),
    "a block with an unknown parameter": ("blocks: {b(out): [conv(out, 1)]}\nlayers: [b(uot=3)]", "2:10", "block b has no parameter 'uot' (did you mean 'out'?); it takes out"),
    "a block with too many parameters": ("blocks: {b(out): [conv(out, 1)]}\nlayers: ['b(3, 4)']", "2:10", "block b takes out; it was given 2 arguments"),
    "a block with a parameter twice": ("blocks: {b(out): [conv(out, 1)]}\nlayers: ['b(3, out=4)']", "2:10", "block b: out is given twice, as 3 and 4"),
    "a block with stars": ("blocks: {'b(*out)': [relu]}\nlayers: [b]", "1:10", "a block's parameters are names, with or without a default; '*' and '/' are not for blocks"),
    "a block that is not a call": ("blocks: {'b c': [relu]}\nlayers: [b]", "1:10", "'b c' is not a block; a block is written: name(parameter, parameter=default)"),
    "two blocks with one name": ("blocks: {'b(x)': [relu], 'b(y)': [relu]}\nlayers: [b(1)]", "1:26", "two blocks are called 'b'"),
    "blocks without end": ("blocks: {a: [b], b: [a]}\nlayers: [a]", "1:14", "blocks and lists are nested more than 100 deep: a → b → a → b"),
    "a number that is called": ("parameters: {depth: 3}\nlayers: [depth]", "2:10", "'depth' is 3 here, not the name of an op or a block"),
    # -- weights
    "weights of no layer": ("- stem: conv(3, 1)\n- conv(3, 1, weights='setm')", "3:3", "weights='setm' is not the name of an earlier layer (did you mean 'stem'?)"),
    "a block applied to too few": ("- p: {fpn(3, 4): image}", "2:7", "the block is applied to 1 value; there is no 'inputs.1' (blocks/fpn.yaml:6)"),
    "inputs outside of a block": ("- from: inputs.1", "2:9", "no layer before this one is named 'inputs.1'"),
    "weights that do not fit": ("- a: conv(3, 1)\n- conv(3, 3, weights='a')", "3:3", "conv needs weight of 3×3×3×3, but that of a is 3×3×1×1"),
    "weights that are not there": ("- a: conv(3, 1, bias=False)\n- conv(3, 1, weights='a')", "3:3", "a has no weight 'bias' to share; it has weight"),
    "weights of a scope": ("- a: [relu]\n- conv(3, 1, weights='a')", "3:3", "weights='a' names no single layer; conv is one"),
    "weights by a name of their own": ("- a: conv(3, 1)\n- \"conv(3, 1, weights={'w': 'a.weight'})\"", "3:3", "conv has no weight 'w'; it has weight, bias"),
    "weights by half a name": ("- a: conv(3, 1)\n- \"conv(3, 1, weights={'weight': 'a'})\"", "3:3", "weights: 'a' is not a layer and its weight, like 'embed.weight'"),
    # -- models
    "a model that is not there": ("- model('mobilent')", "2:3", "no model called 'mobilent' (did you mean 'mobilenet'?)"),
    "a model of no name": ("- model(3)", "2:3", "model takes the name of a model in quotes, then until='layer' and its parameters"),
    "a model up to nowhere": ("- model('resnet18', until='layer9')", "2:3", "until='layer9' is not the name of a layer of resnet18"),
    "a model in itself": ("- model('./net.yaml')", "2:3", "models use each other more than 8 deep"),
    # -- expressions
    "no expression": ("- conv(3, 3 +)", "2:3", "'conv(3, 3 +)' is not an expression (invalid syntax)"),
    "a colon in a parameter": ("parameters: {k: 3:3}\nlayers: [relu]", "1:17", "'3:3' is not an expression: values are separated by commas, in a list: [3, 3]"),
    "a colon in a call": ("- 'conv(4, 3:3)'", "2:3", "'conv(4, 3:3)' is not an expression: values are separated by commas, in a list: [3, 3]"),
    "a colon in a size": ("- 'k = 3:3'", "2:3", "'k = 3:3' is not an expression: values are separated by commas, in a list: [3, 3]"),
    "a parenthesis missing": ("- conv(3, 3", "2:3", "the parentheses of 'conv(3, 3' do not match; a call with ': ' or ' #' in it stands in quotes"),
    "a layer in an expression": ("- a: relu\n- add(a, image)", "3:3", "'a' is a layer or an input, which is not a size or option; inputs of a layer are written in a list, as in `add: [a, …]`"),
    "an input in an expression": ("- concat(image)", "2:3", "'image' is a layer or an input, which is not a size or option; inputs of a layer are written in a list, as in `add: [image, …]`"),
    "an unknown name": ("- conv(chanels, 1)", "2:3", "nothing is called 'chanels' here (did you mean 'channels'?); a word stands in quotes: 'chanels'"),
    "an unknown function": ("- conv(mx(3, 4), 1)", "2:3", "no function called 'mx' (did you mean 'max'?); there are abs, all, any, ceil, distinct, enumerate, float, floor, half_padding, int, len, log, max, min, range, reversed, round, round_to, sorted, sqrt, sum, zip"),
    "an unknown op with options": ("- conv_bn(4, act=reul(1))", "2:3", "no function called 'reul' (did you mean 'relu'?); there are abs, all, any, ceil, distinct, enumerate, float, floor, half_padding, int, len, log, max, min, range, reversed, round, round_to, sorted, sqrt, sum, zip"),
    "a size called": ("- conv_bn(4, act=channels(1))", "2:3", "'channels' is 3 here, not a function, an op or a block"),
    "an op with options as a size": ("- conv(relu6(1), 1)", "2:3", "conv: out_channels='relu6(1)' must be a whole number from 1"),
    "an op with more options, over and over": ("- x = 'relu'\n- for i in range(9999):\n    - x = x(i)", "4:7", "the spec takes more than 1,000,000 steps to write out; shorten its loops"),
    "an attribute": ("- conv(shape.x, 1)", "2:3", "a dot after a value cannot be used in a spec"),
    "a dunder": ("- conv(().__class__, 1)", "2:3", "a dot after a value cannot be used in a spec"),
    "lambda": ("- 'conv((lambda: 3)(), 1)'", "2:3", "only functions by name can be called in an expression, with their arguments one by one"),
    "an f-string": ("- conv(f'{channels}', 1)", "2:3", "an f-string cannot be used in a spec"),
    "a walrus": ("- conv((x := 3), 1)", "2:3", "':=' cannot be used in a spec"),
    "an operator": ("- conv(3 << 2, 1)", "2:3", "the operators are + - * / // % **"),
    "a division by zero": ("- conv(3 // 0, 1)", "2:3", "'conv(3 // 0, 1)' divides by zero"),
    "a word added": ("- conv('a' + 'b', 1)", "2:3", "+ takes numbers or two lists, not 'a' and 'b'"),
    "a word multiplied": ("- conv('a' * 9, 1)", "2:3", "* takes numbers, or a list and a whole number, not 'a' and 9"),
    "words compared": ("- if 'a' < 'b': [relu]", "2:3", "a comparison takes numbers, not 'b' and 'a'"),
    "in a number": ("- if 3 in 4: [relu]", "2:3", "'in' looks into a list, not into 4"),
    "an index too large": ("- conv(shape[4], 1)", "2:3", "the list [1, 3, 8, 8] has 4 values, so no [4]"),
    "an index into a number": ("- conv(channels[0], 1)", "2:3", "3 is not a list, so it has no [0]"),
    "an index that is a word": ("- conv(shape['a'], 1)", "2:3", "a list is indexed by a whole number, not 'a'"),
    "a loop over a number": ("- for i in channels: [relu]", "2:3", "a loop runs over a list, not over 3; range(n) is a list"),
    "names for too few values": ("- for a, b in [[1, 2, 3]]: [relu]", "2:3", "2 names cannot take [1, 2, 3]"),
    "a function of too much": ("- conv(len(1, 2), 1)", "2:3", "len does not take (1, 2); it is used as len(list)"),
    "max of words": ("- conv(max('a', 3), 1)", "2:3", "max does not take ('a', 3); it is used as max(number, number, ...) or max(list)"),
    "an assignment to a number": ("- 3 = 4", "2:3", "'3 = 4' is not an expression (cannot assign to literal here. Maybe you meant '==' instead of '='?)"),
    "an assignment to a part": ("- shape[0] = 4", "2:3", "an assignment has a name, or names with commas, before one '='"),
    "a word with a dot": ("parameters: {until: layer1.0}\nlayers: [relu]", "1:21", "'layer1.0' is not an expression; as a word it stands in quotes: 'layer1.0'"),
    "a word that begins with a number": ("parameters: {size: 3x3}\nlayers: [relu]", "1:20", "'3x3' is not an expression; as a word it stands in quotes: '3x3'"),
    "a word with a dot between names": ("parameters: {until: body.last}\nlayers: [relu]", "1:21", "'body.last' is not an expression; as a word it stands in quotes: 'body.last'"),
    "an assignment as a value": ("parameters: {a: b = 3}\nlayers: [relu]", "1:17", "'b = 3' is an assignment where a value belongs"),
    "a backslash": ("- conv('\\n', 1)", "2:3", "'conv('\\n', 1)' has a backslash or a control character; expressions have none"),
    "a height of a vector": ("- flatten\n- linear(height)", "3:3", "the value here is 1×192 and has no height"),
    # -- what would explode
    "a power of powers": ("- conv(9**9**9, 1)", "2:3", "9 ** 387420489 has more than 1,024 bits, the most that a number may have"),
    "a product without end": ("- conv(10**300 * 10**300, 1)", "2:3", "a number has 1,994 bits; 1,024 are the most"),
    "a float without end": ("- conv(1e999, 1)", "2:3", "a number is infinite or undefined"),
    "a float that overflows": ("- conv(int(1e300 * 1e300), 1)", "2:3", "a number is infinite or undefined"),
    "a quotient that overflows": ("- conv(10**307 * 9.0**9, 1)", "2:3", "a number is infinite or undefined"),
    "a root of a negative": ("- conv((0 - 8) ** 0.5, 1)", "2:3", "a root of a negative number is not a size"),
    "a loop of 10⁹": ("- for i in range(10**9): [relu]", "2:3", "range(1000000000) has more than 100,000 numbers"),
    "a list of 10⁹": ("- a = [0] * 10**9", "2:3", "a list would have 1,000,000,000 values; 100,000 are the most"),
    "loops in loops": ("- for i in range(10**5):\n    - for j in range(10**5): []", "3:7", "the spec takes more than 1,000,000 steps to write out; shorten its loops"),
    "lists that double": ("- a = [0]\n- for i in range(64):\n    - a = [a, a]", "4:7", "lists are nested more than 8 deep"),
    "lists that grow": ("- a = [0]\n- for i in range(64):\n    - a = a + a", "4:7", "a list has more than 100,000 values"),
    "parentheses in parentheses": (f"- conv({'(' * 250}3{')' * 250}, 1)", "2:3", f"'conv({'(' * 72}...' is not an expression (too many nested parentheses)"),
    "minus minus minus": (f"- conv({'-' * 500}3, 1)", "2:3", "an expression is nested more than 40 deep"),
    "an expression without end": (f"- conv({'1+' * 2000}1, 1)", "2:3", "an expression has 4,010 characters; 2,000 are the most"),
    "a number without end": (f"- conv({'9' * 1900}, 1)", "2:3", "a number has 6,312 bits; 1,024 are the most"),
    "a size without end": ("- for i in range(400):\n    - upsample(100)", "3:7", "a number has 1,027 bits; 1,024 are the most"),
}  # fmt: skip


def libyaml(said: str) -> str:
    """``said``; without what PyYAML words in another way where it has no libyaml."""
    return said if yaml.__with_libyaml__ else said.split("not valid YAML:")[0]


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gets_its_sentence(build: Build, tmp_path: Path, name: str) -> None:
    text, place, sentence = MISTAKES[name]
    with pytest.raises(CostcalcError) as caught:
        build(text)
    file = str(tmp_path / "net.yaml")
    error = caught.value
    assert "\n" not in str(error)
    assert error.exit_code == 2
    said = str(error).removeprefix(file + ":").replace(file, "FILE").replace(f"{tmp_path}{os.sep}", "")
    assert libyaml(said) == libyaml(f"{place}: {sentence}")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"batch": 0}, "batch must be a whole number from 1, not 0"),
        ({"batch": 2.5}, "batch must be a whole number from 1, not 2.5"),
        ({"batch": 10**5000}, "a number has 16,610 bits; 1,024 are the most"),
        ({"input": (3, 10**5000, 8)}, "a number has 16,610 bits; 1,024 are the most"),
        ({"input": (3, 0, 8)}, "the shape of image must be whole numbers from 1, not (3, 0, 8)"),
        ({"input": "3x8x8"}, "the shape of image must be whole numbers from 1, not '3x8x8'"),
        ({"input": {"imag": (3, 8, 8)}}, "net has no input 'imag' (did you mean 'image'?); it has image"),
        ({"parameters": {"dept": 3}}, "net has no parameter 'dept' (did you mean 'depth'?); it has depth"),
        ({"parameters": {"depth": {"a": 3}}}, "depth must be a number, a word, True, False or a list of them, not {'a': 3}"),
        ({"symbols": {"heigth"}}, "'heigth' cannot be a symbol (did you mean 'height'?); there are batch, depth, height, width"),
        ({"variant": "larg"}, "net has no variant 'larg' (did you mean 'large'?); it has large, small"),
    ],
)  # fmt: skip
def test_a_wrong_option_of_load_is_refused(build: Build, options: dict[str, Any], sentence: str) -> None:
    text = "parameters: {depth: 1}\nvariants: {large: {}, small: {}}\nlayers: [relu]"
    with pytest.raises(CostcalcError) as caught:
        build(text, **options)
    assert str(caught.value) == sentence


def test_two_symbols_cannot_have_one_letter(build: Build) -> None:
    with pytest.raises(CostcalcError, match="height and the parameter h would both be the symbol h; leave one of them"):
        build("parameters: {h: 3}\nlayers: [relu]", symbols=["height", "h"])


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        (
            "if height > 4: [relu]",
            "whether h ≥ 5 depends on the symbol h, so the layers do; leave height out of the symbols",
        ),
        (
            "for i in range(height): [relu]",
            "how often a loop runs cannot depend on a symbol, h; leave height out of the symbols",
        ),
        (
            "conv(int(height / 2), 1)",
            "h / 2 need not be a whole number; write // for symbols, or leave height out of the symbols",
        ),
        (
            "conv(int(height * 0.5), 1)",
            "h and 0.5: symbols stand for whole numbers; use // and *, or leave height out of the symbols",
        ),
        ("conv(height ** 9, 1)", "h ** 9: a symbol takes the powers 0 to 8; leave height out of the symbols"),
        (
            "conv([1, 2, 3, 4, 5, 6, 7, 8, 9][height], 1)",
            "a list is indexed by a whole number, not h; leave height out of the symbols",
        ),
    ],
)
def test_what_a_symbol_cannot_decide_is_said(build: Build, step: str, sentence: str) -> None:
    with pytest.raises(CostcalcError) as caught:
        build(f"- {step}", symbols={"height"})
    assert caught.value.message == sentence


def test_a_model_that_is_nowhere_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    def said(model: str) -> str:
        with pytest.raises(CostcalcError) as caught:
            costcalc.load(model)
        return str(caught.value)

    assert said("mobilent") == "no model called 'mobilent' (did you mean 'mobilenet'?)"
    assert said("xyzzy") == (
        "no model called 'xyzzy'; `costcalc list` shows them, others are timm:NAME, torchvision:NAME, hf:NAME, "
        "net.py:NAME, and a path ends in .yaml"
    )
    assert said("resnet").startswith("'resnet' is a family of models; it has ")
    assert said(f"{tmp_path}/none.yaml") == f"{tmp_path}/none.yaml: there is no such file"
    assert said(f"{tmp_path}/none.yaml:big") == f"{tmp_path}/none.yaml: there is no such file"
    assert said(f"{tmp_path}/") == f"{tmp_path}/: this is a directory; a spec is a YAML file"
    assert said(f"{tmp_path}/a\0b.yaml") == f"{tmp_path}/a\0b.yaml: no file has a name with a null character"


HOSTILE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "the file is empty; a spec has at least inputs and layers"),
    "a comment": (b"# nothing\n", "the file is empty; a spec has at least inputs and layers"),
    "a byte-order mark": (b"\xef\xbb\xbf", "the file is empty; a spec has at least inputs and layers"),
    "a word": (b"relu", "1:1: a spec is a mapping of name, title, source, task …, not a text"),
    "a list": (b"- relu", "1:1: a spec is a mapping of name, title, source, task …, not a list"),
    "blocks only": (b"blocks: {a: [relu]}\ninputs: {x: [1]}", "1:1: the file has blocks but no layers, so it is not a model"),
    "two documents": (b"layers: [relu]\n---\nlayers: [relu]", "2:1: a second document begins here; a spec is one document"),
    "a program": (b"\x7fELF\x02\x01\x01" + bytes(range(256)), "2: byte 0x80 is not UTF-8 text; a spec is a text file"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(64), "1: byte 0x89 is not UTF-8 text; a spec is a text file"),
    "null bytes": (b"name: a\x00b", "1: this is not valid YAML: control characters are not allowed"),
    "10⁴ brackets": (b"layers: " + b"[" * 10_000, "1:72: lists and mappings are nested more than 64 deep"),
    "10⁴ braces": (b"layers: " + b"{" * 10_000, "1:72: lists and mappings are nested more than 64 deep"),
    "10⁴ dashes": (b"- " * 10_000, "1:129: lists and mappings are nested more than 64 deep"),
    "10⁴ indents": (
        b"layers:\n" + b"".join(b"  " * i + b"- a:\n" for i in range(300)),
        "33:65: lists and mappings are nested more than 64 deep",
    ),
    "a million aliases": (
        b"a: &a [x, x, x, x, x, x, x, x, x, x]\n" + b"".join(b"b%d: &a [%s]\n" % (i, b",".join([b"*a"] * 10)) for i in range(9)),
        "6:12: the file has more than 300,000 items, aliases written out",
    ),
    "aliases in depth": (
        b"a: &a [x]\n" + b"".join(b"b%d: &a [*a]\n" % i for i in range(99)),
        "64:10: lists and mappings are nested more than 64 deep",
    ),
    "a long word": (b"layers: [" + b"a" * 1_000_000 + b"]\ninputs: {x: [1]}", "1:10: an expression has 1,000,000 characters; 2,000 are the most"),
    "a long name": (b"inputs: {x: [1]}\nlayers:\n - ? " + b"a$(" * 300_000 + b"\n   : relu", "3:6: a name has 900,000 characters; 2,000 are the most"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused(tmp_path: Path, name: str) -> None:
    data, sentence = HOSTILE[name]
    path = tmp_path / "net.yaml"
    path.write_bytes(data)
    with pytest.raises(CostcalcError) as caught:
        costcalc.load(path)
    assert libyaml(str(caught.value).removeprefix(f"{path}:").strip()) == libyaml(sentence)


@pytest.mark.long
def test_a_file_of_a_million_items_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_bytes(b"layers: [" + b"relu," * 1_000_000 + b"]")
    with pytest.raises(CostcalcError, match="the file has more than 300,000 items, aliases written out"):
        costcalc.load(path)


def test_a_file_of_100_megabytes_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    with path.open("wb") as stream:
        stream.truncate(100 * 2**20)
    with pytest.raises(CostcalcError, match="the file has 104,857,600 bytes; a spec has at most 8,388,608"):
        costcalc.load(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_that_nobody_writes_to_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    os.mkfifo(path)
    with pytest.raises(CostcalcError, match="this is not a regular file; a spec is a YAML file"):
        costcalc.load(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text("layers: [relu]")
    path.chmod(0)
    with pytest.raises(CostcalcError, match="the file cannot be read: Permission denied"):
        costcalc.load(path)


def test_a_mistake_in_a_shared_block_is_blamed_on_the_call(build: Build, tmp_path: Path) -> None:
    with pytest.raises(CostcalcError) as caught:
        build("layers:\n  - conv_bn(4, 9, groups=2)")
    sentence = "conv_bn.conv: groups=2 must divide the 3 input channels (input 1×3×8×8) (blocks/conv.yaml:"
    assert str(caught.value).startswith(f"{tmp_path / 'net.yaml'}:2:5: {sentence}")


def test_a_model_has_at_most_so_many_layers(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "- for i in range(11): [relu, relu]"
    assert len(build(text).nodes) == 22
    monkeypatch.setattr("costcalc.frontends.spec.layers.MAX_LAYERS", 21)
    with pytest.raises(CostcalcError, match="2:30: the model has more than 21 layers"):
        build(text)


def test_a_backbone_has_the_parameters_of_its_file(build: Build, tmp_path: Path) -> None:
    (tmp_path / "body.yaml").write_text("inputs: {x: [3, 8, 8]}\nparameters: {depth: 2}\nlayers: [relu]\n")
    with pytest.raises(CostcalcError) as caught:
        build("layers:\n  - model('./body.yaml', dept=3)")
    place = tmp_path / "net.yaml"
    assert str(caught.value) == f"{place}:2:5: body has no parameter 'dept' (did you mean 'depth'?); it has depth"


def test_a_mistake_in_a_file_that_is_used_names_both_files(build: Build, tmp_path: Path) -> None:
    (tmp_path / "lib.yaml").write_text("blocks:\n  unit(): [rellu]\n")
    with pytest.raises(CostcalcError) as caught:
        build("use: [lib.yaml]\nlayers:\n  - unit")
    library, net = tmp_path / "lib.yaml", tmp_path / "net.yaml"
    assert str(caught.value) == f"{net}:3:5: no op or block called 'rellu' (did you mean 'relu'?) ({library}:2)"
