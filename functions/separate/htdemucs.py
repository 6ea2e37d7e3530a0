"""HTDemucs' forward for inference: demucs' weights and demucs' result, with less work on the way.

It is `demucs.htdemucs.HTDemucs.forward`. What differs: values lie in memory with the channels of a position side by
side, so that each layer is one product with what follows it fused in; positional embeddings and windows are made once;
scales and normalisations are folded into weights; the inverse STFT is four strided sums; and the layers may run in 16
bits, while the STFT and the normalisation of input and output stay in float32.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from functions.separate.attention import Layer, Norm, position_1d, position_2d
from functions.separate.layers import Decoder, Encoder, part_of
from functions.separate.panels import LinearInPanels, linear
from functions.separate.products import Linear, State, channels_of, rows_of
from functions.separate.stft import Stft

EPSILON = 1e-5  # demucs adds it to deviations
CHANNELS = ("channel_upsampler", "channel_downsampler", "channel_upsampler_t", "channel_downsampler_t")
PAIRS = {2: torch.int32, 4: torch.int64}  # types for two numbers, by the bytes of one
KLASS = "demucs.htdemucs.HTDemucs"

# What this forward takes for granted of the arguments of demucs' class; all published models have them so.
FIXED: dict[str, Any] = {
    "audio_channels": 2, "wiener_iters": 0, "end_iters": 0, "wiener_residual": False, "cac": True, "rewrite": True,
    "multi_freqs": None, "kernel_size": 8, "stride": 4, "context": 1, "context_enc": 0, "dconv_mode": 3,
    "t_emb": "sin", "t_norm_in": True, "t_norm_in_group": False, "t_group_norm": False, "t_norm_first": True,
    "t_layer_scale": True, "t_gelu": True, "t_sin_random_shift": 0, "t_sparse_self_attn": False,
    "t_sparse_cross_attn": False, "use_train_segment": True,
}  # fmt: skip
DEFAULTS: dict[str, Any] = {"dconv_mode": 1, "depth": 4, "nfft": 4096, "norm_starts": 4, "t_layers": 5}


@dataclass(frozen=True)
class Shape:
    """Those arguments of demucs' class that its weights do not tell, by their names and defaults there."""

    sources: tuple[str, ...]
    samplerate: int = 44100
    segment: Fraction = Fraction(10)
    nfft: int = 4096
    freq_emb: float = 0.2
    emb_scale: float = 10
    t_layers: int = 5
    t_heads: int = 8
    t_max_period: float = 10000.0
    t_weight_pos_embed: float = 1.0


def shape_of(arguments: Mapping[str, Any]) -> Shape | None:
    """The shape of a network made with these arguments; None where it is not one that this forward is of."""
    given = {**DEFAULTS, **arguments}
    for name, value in FIXED.items():
        if (given.get(name, value) or None) != (value or None):
            return None
    smallest = given["nfft"] // 2 // 4 ** (given["depth"] - 1)  # frequencies before the last layer
    if given["norm_starts"] < given["depth"] or given["t_layers"] < 1 or smallest <= 8:
        return None
    known = {field.name: arguments[field.name] for field in fields(Shape) if field.name in arguments}
    return Shape(**{**known, "sources": tuple(arguments["sources"]), "segment": Fraction(known.get("segment", 10))})


class Forward:
    """A network of the family, its layers in `dtype` on `device`. Its weights are by their names in demucs."""

    def __init__(self, shape: Shape, state: State, dtype: torch.dtype, device: str = "cpu") -> None:
        like = torch.empty(0, dtype=dtype, device=device)
        self.shape, self.like = shape, like
        self.length = int(shape.segment * shape.samplerate)
        self._stft = Stft(shape.nfft, self.length, device)
        depth = len({name.split(".")[1] for name in state if name.startswith("encoder.")})
        self.encoder, self.tencoder = (
            [Encoder(part_of(state, f"{branch}.{n}."), 4, like) for n in range(depth)]
            for branch in ("encoder", "tencoder")
        )
        self.decoder, self.tdecoder = (
            [Decoder(part_of(state, f"{branch}.{n}."), 4, like, last=n == depth - 1) for n in range(depth)]
            for branch in ("decoder", "tdecoder")
        )
        self._frequencies = self._embedded_frequencies(state)
        self._between = {name: self._linear(state, name) for name in CHANNELS if f"{name}.weight" in state}
        transformer = part_of(state, "crosstransformer.")
        self.norm_in, self.norm_in_t = (Norm(transformer, name, like) for name in ("norm_in", "norm_in_t"))
        self.layers, self.layers_t = (
            [Layer(part_of(transformer, f"{branch}.{n}."), shape.t_heads, like) for n in range(shape.t_layers)]
            for branch in ("layers", "layers_t")
        )
        self._positions: dict[tuple[int, int], Tensor] = {}

    def _linear(self, state: State, name: str) -> Linear | LinearInPanels:
        return linear(state[f"{name}.weight"], state[f"{name}.bias"], self.like)

    def _embedded_frequencies(self, state: State) -> Tensor | None:
        """What is added after the first layer of the frequency branch, (bins, 1, channels)."""
        weight = state.get("freq_emb.embedding.weight")
        if weight is None:
            return None
        return (weight.float()[:, None] * self.shape.emb_scale * self.shape.freq_emb).to(self.like)

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def __call__(self, mix: Tensor) -> Tensor:
        """A mix (batch, 2, length) as its stems (batch, stems, 2, length), float32."""
        channels = mix.shape[1]
        x, mean, deviation = _normalised(torch.view_as_real(self._stft.forward(mix)))
        xt, mean_t, deviation_t = _normalised(mix)
        x = rows_of(_turned(x.to(self.like)))
        xt = rows_of(xt.transpose(1, 2).to(self.like, memory_format=torch.contiguous_format)[:, None])
        x, xt = self._decoded(*self._encoded(x, xt))
        separated = self._stft.inverse(_spectra(channels_of(x), channels))
        separated.mul_(deviation).addcmul_(self._stft.constant, mean)
        waves = xt[:, :, 0].unflatten(1, (-1, channels)).float()
        return separated.addcmul_(waves, deviation_t).add_(mean_t)

    # --- Both branches: frequencies x, (batch, channels, bins, frames), and waves xt, (batch, channels, 1, samples) ---

    def _encoded(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor, list[Tensor], list[Tensor], list[int]]:
        """Through encoders and transformer; what the decoders take from each layer; lengths of xt."""
        skips: list[Tensor] = []
        skips_t: list[Tensor] = []
        lengths: list[int] = []
        for index, (layer, layer_t) in enumerate(zip(self.encoder, self.tencoder, strict=True)):
            lengths.append(xt.shape[-1])
            x, xt = layer(x), layer_t(xt)
            if index == 0 and self._frequencies is not None:
                channels_of(x).add_(self._frequencies)
            skips.append(x)
            skips_t.append(xt)
        return *self._transformed(x, xt), skips, skips_t, lengths

    def _decoded(
        self, x: Tensor, xt: Tensor, skips: list[Tensor], skips_t: list[Tensor], lengths: list[int]
    ) -> tuple[Tensor, Tensor]:
        for layer, layer_t in zip(self.decoder, self.tdecoder, strict=True):
            x = layer(x, skips.pop(), x.shape[-1])
            xt = layer_t(xt, skips_t.pop(), lengths.pop())
        return x, xt

    def _transformed(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        """As sequences (batch, positions, channels); their order is of no consequence, so nothing is moved."""
        _, _, rows, frames = x.shape
        x, xt = (channels_of(each).flatten(1, 2) for each in (x, xt))
        x, xt = self._through("channel_upsampler", x), self._through("channel_upsampler_t", xt)
        x = self.norm_in(x).add_(self._position(x.shape[-1], frames, rows))
        xt = self.norm_in_t(xt).add_(self._position(xt.shape[-1], xt.shape[1]))
        for layer, layer_t in zip(self.layers, self.layers_t, strict=True):
            x, xt = layer(x, xt), layer_t(xt, x)
        x, xt = self._through("channel_downsampler", x), self._through("channel_downsampler_t", xt)
        return rows_of(x.unflatten(1, (rows, frames))), rows_of(xt[:, None])

    def _through(self, name: str, x: Tensor) -> Tensor:
        return self._between[name](x) if name in self._between else x

    def _position(self, width: int, positions: int, rows: int = 0) -> Tensor:
        """What is added to a sequence of so many positions, in each of so many rows, made once."""
        if (positions, rows) not in self._positions:
            period = self.shape.t_max_period
            if rows:
                position = position_2d(rows, positions, width, period).flatten(0, 1)
            else:
                position = position_1d(positions, width, period)
            self._positions[positions, rows] = (self.shape.t_weight_pos_embed * position).to(self.like)
        return self._positions[positions, rows]


def _turned(spectra: Tensor) -> Tensor:
    """(batch, channels, frames, bins, 2) as (batch, bins, frames, values).

    Real and imaginary part are moved as one number, frames by bins transposed as a matrix, in blocks: that is quicker.
    """
    pairs = spectra.contiguous().view(PAIRS[spectra.element_size()])[..., 0]
    turned = [torch.stack([channel.t().contiguous() for channel in each], -1) for each in pairs]
    return torch.stack(turned).view(spectra.dtype)


def _spectra(x: Tensor, channels: int) -> Tensor:
    """(batch, bins, frames, values) as complex numbers (batch, stems, channels, frames, bins + 1), the last ones zero.

    Moved likewise.
    """
    bins, frames = x.shape[1:3]
    pairs = x.contiguous().view(PAIRS[x.element_size()]).flatten(2)
    turned = torch.stack([each.t().contiguous() for each in pairs]).view(x.dtype)
    turned = turned.view(len(x), frames, -1, channels, bins, 2).permute(0, 2, 3, 1, 4, 5)
    spectra = torch.empty(*turned.shape[:4], bins + 1, 2, device=x.device)
    spectra[..., :-1, :] = turned
    spectra[..., -1, :] = 0
    return torch.view_as_complex(spectra)


def _normalised(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """x less its mean and over its deviation, of each of the batch; mean and deviation, (batch, 1, 1, 1)."""
    over = tuple(range(1, x.dim()))
    mean, deviation = x.mean(over, keepdim=True), x.std(over, keepdim=True)
    return (x - mean).div_(EPSILON + deviation), mean.view(-1, 1, 1, 1), deviation.view(-1, 1, 1, 1)
