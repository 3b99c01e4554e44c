"""Open an ONNX model for LoRA adapters that come and go while it runs.

The model is built once with a tiny adapter on every linear layer; then each of
the adapter's weights becomes an optional graph input with a default of rank 0,
which adds nothing. At run time an adapter file supplies values of any rank for
any of them. Nothing here knows about training or about adapter files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class LoraInput:
    """An optional input: A has shape [in, rank], B has [rank, out] (transposed peft weights).

    The rank's name is the layer's own: ONNX Runtime reuses buffers between dimensions
    of one name, while an adapter may leave layers out or give them different ranks.
    """

    name: str
    shape: tuple[int | str, int | str]


def write_placeholder(base: Path, folder: Path) -> list[str]:
    """Write a rank-1 peft adapter for every linear layer of the model in `base`.

    Returns the names of the builder's nodes that will hold it, to be kept out
    of quantisation.
    """
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(0)
    tensors, nodes, targets = {}, [], set()
    for path, layer in _linears(base):
        targets.add(path.rsplit(".", 1)[-1])
        for part, shape in (("A", (1, layer.in_features)), ("B", (layer.out_features, 1))):
            # Not zeros: equal initializers could be merged into one.
            weight = torch.rand(shape, generator=generator)
            tensors[f"base_model.model.{path}.lora_{part}.weight"] = weight
            nodes.append(_node_name(path, part))
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": 1,
        "lora_alpha": 1,
        "target_modules": sorted(targets),
        "inference_mode": True,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return nodes


def open_slots(model: Path) -> list[LoraInput]:
    """Turn the placeholder's weights in the ONNX file `model` into optional inputs, in place.

    The weights of the base stay untouched in their external data file.
    Raises ValueError when the model holds no placeholder.
    """
    import numpy as np
    import onnx_ir as ir

    graph_model = ir.load(model)
    graph = graph_model.graph
    opened = []
    for node in list(graph.all_nodes()):
        name = _input_name(node.name or "")
        if node.op_type != "MatMul" or name is None:
            continue
        weight = node.inputs[1]
        if weight is None or weight.name is None or weight.const_value is None:
            raise ValueError(f"node {node.name} has no constant weight")
        rows, columns = weight.const_value.numpy().shape
        is_a = name.endswith("lora_A.weight")
        rank = name.rsplit(".", 2)[0] + ".rank"
        shape = (rows, rank) if is_a else (rank, columns)
        empty = np.zeros((rows, 0) if is_a else (0, columns), weight.const_value.dtype.numpy())
        slot = ir.Value(
            name=name,
            shape=ir.Shape(shape),
            type=ir.TensorType(weight.const_value.dtype),
            const_value=ir.Tensor(empty, name=name),
        )
        graph.register_initializer(slot)
        graph.inputs.append(slot)
        node.replace_input_with(1, slot)
        if is_a:
            node.outputs[0].shape = None
        if not weight.uses():
            graph.initializers.pop(weight.name)
        opened.append(LoraInput(name, shape))
    if not opened:
        raise ValueError("the model was built without LoRA nodes")
    partial = model.with_suffix(".partial")
    ir.save(graph_model, partial)
    partial.replace(model)
    return opened


def _linears(base: Path) -> Iterator[tuple[str, nn.Linear]]:
    """Linear layers inside the decoder's layers, as (module path, module) without weights."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base))
    for path, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and ".layers." in path:
            yield path, module


def _node_name(path: str, part: str) -> str:
    """model.layers.0.self_attn.q_proj -> /model/layers.0/attn/q_proj/lora_A/MatMul"""
    _, _, layer, block, projection = path.split(".")
    block = {"self_attn": "attn"}.get(block, block)
    return f"/model/layers.{layer}/{block}/{projection}/lora_{part}/MatMul"


def _input_name(node: str) -> str | None:
    """/model/layers.0/attn/q_proj/lora_A/MatMul -> model.layers.0.self_attn.q_proj.lora_A.weight"""
    parts = node.strip("/").split("/")
    if len(parts) < 6 or parts[4] not in ("lora_A", "lora_B"):
        return None
    model, layer, block, projection, part = parts[:5]
    block = {"attn": "self_attn"}.get(block, block)
    return f"{model}.{layer}.{block}.{projection}.{part}.weight"
