"""HTDemucs' forward for inference: demucs' weights and demucs' result, with less work on the way.

It is `demucs.htdemucs.HTDemucs.forward`, layer by layer. What differs: positional embeddings and windows are computed
once; attention never makes the whole matrix of scores in float32; the inverse STFT is four strided sums; and the layers
may run in bfloat16, while the STFT and the normalisation of input and output stay in float32.
"""

from typing import Any

import torch
from demucs.hdemucs import HDecLayer, HEncLayer
from demucs.htdemucs import HTDemucs
from demucs.transformer import create_2d_sin_embedding, create_sin_embedding
from torch import Tensor
from torch.nn import functional

from functions.separate.attention import cross_layer, self_layer
from functions.separate.stft import Stft

LAYERS = ("encoder", "decoder", "tencoder", "tdecoder", "crosstransformer")
CHANNELS = ("channel_upsampler", "channel_downsampler", "channel_upsampler_t", "channel_downsampler_t")
EPSILON = 1e-5  # demucs adds it to deviations


def fits(network: Any) -> bool:
    """Whether a network is one that this forward is of: HTDemucs, without options that no published model uses."""
    if type(network) is not HTDemucs or not (network.cac and network.use_train_segment and network.crosstransformer):
        return False
    transformer = network.crosstransformer
    dense = all(not layer.sparse and layer.norm_first for layer in (*transformer.layers, *transformer.layers_t))
    return dense and transformer.emb == "sin" and not transformer.sin_random_shift


class Forward:
    """An HTDemucs that `fits`; its layers are taken over, in `dtype`, and are of no use to others then."""

    def __init__(self, network: Any, dtype: torch.dtype) -> None:
        self.network = network.eval().requires_grad_(False)
        self.dtype = dtype
        self.length = int(network.segment * network.samplerate)
        self._stft = Stft(network.nfft, self.length)
        self._positions: dict[tuple[int, ...], Tensor] = {}
        self._frequencies = self._embedded_frequencies()
        for name in (*LAYERS, *(CHANNELS if network.bottom_channels else ())):
            getattr(network, name).to(dtype)

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def __call__(self, mix: Tensor) -> Tensor:
        """A mix (batch, channels, length) as its stems (batch, stems, channels, length), float32."""
        spectra = self._stft.forward(mix)
        batch, channels, frames, bins = spectra.shape
        x = torch.view_as_real(spectra).permute(0, 1, 4, 3, 2).reshape(batch, 2 * channels, bins, frames)
        x, mean, deviation = _normalised(x, self.dtype)
        xt, mean_t, deviation_t = _normalised(mix, self.dtype)
        x, xt = self._decoded(*self._encoded(x, xt))
        stems = len(self.network.sources)
        x = x.float().view(batch, stems, channels, 2, bins, frames) * deviation[..., None, None] + mean[..., None, None]
        separated = self._stft.inverse(torch.view_as_complex(x.permute(0, 1, 2, 5, 4, 3).contiguous()))
        waves = xt.float().view(batch, stems, channels, -1)
        return separated.add_(waves * deviation_t[..., None] + mean_t[..., None])

    def _embedded_frequencies(self) -> Tensor | None:
        """What is added after the first layer of the frequency branch, (1, channels, bins, 1)."""
        embedding = self.network.freq_emb
        if embedding is None:
            return None
        bins = torch.arange(embedding.embedding.num_embeddings)
        embedded: Tensor = self.network.freq_emb_scale * embedding(bins).t()[None, :, :, None]
        return embedded.detach().to(self.dtype)

    # --- Encoders and decoders: frequencies x (batch, channels, bins, frames), waves xt (batch, channels, samples) ---

    def _encoded(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor, list[Tensor], list[Tensor], list[int]]:
        """Both branches through encoders and transformer; what the decoders take from each layer; lengths of xt."""
        network = self.network
        skips: list[Tensor] = []
        skips_t: list[Tensor] = []
        lengths: list[int] = []
        for index, layer in enumerate(network.encoder):
            merged = None
            if index < len(network.tencoder):
                lengths.append(xt.shape[-1])
                xt = _encode(network.tencoder[index], xt)
                if network.tencoder[index].empty:
                    merged = xt
                else:
                    skips_t.append(xt)
            x = _encode(layer, x, merged)
            if index == 0 and self._frequencies is not None:
                x = x + self._frequencies
            skips.append(x)
        return *self._transformed(x, xt), skips, skips_t, lengths

    def _decoded(
        self, x: Tensor, xt: Tensor, skips: list[Tensor], skips_t: list[Tensor], lengths: list[int]
    ) -> tuple[Tensor, Tensor]:
        network = self.network
        alone = network.depth - len(network.tdecoder)  # layers of the frequency branch before the time branch parts
        for index, layer in enumerate(network.decoder):
            x, before = _decode(layer, x, skips.pop(), 0)
            if index < alone:
                continue
            layer_t, length = network.tdecoder[index - alone], lengths.pop()
            if layer_t.empty:
                xt, _ = _decode(layer_t, before[:, :, 0], None, length)
            else:
                xt, _ = _decode(layer_t, xt, skips_t.pop(), length)
        return x, xt

    # --- The transformer: both branches as sequences (batch, positions, channels) ---

    def _transformed(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        network, transformer = self.network, self.network.crosstransformer
        batch, channels, bins, frames = x.shape
        x = x.flatten(2)
        if network.bottom_channels:
            x, xt = network.channel_upsampler(x), network.channel_upsampler_t(xt)
        width = x.shape[1]
        x = x.view(batch, width, bins, frames).permute(0, 3, 2, 1).reshape(batch, frames * bins, width)
        x = transformer.norm_in(x) + self._position_2d(width, bins, frames)
        xt = transformer.norm_in_t(xt.transpose(1, 2)) + self._position(xt.shape[-1], width)
        for index, (layer, layer_t) in enumerate(zip(transformer.layers, transformer.layers_t, strict=True)):
            if index % 2 == transformer.classic_parity:
                x, xt = self_layer(layer, x), self_layer(layer_t, xt)
            else:
                x, xt = cross_layer(layer, x, xt), cross_layer(layer_t, xt, x)
        x = x.view(batch, frames, bins, width).permute(0, 3, 2, 1).reshape(batch, width, bins * frames)
        xt = xt.transpose(1, 2).contiguous()
        if network.bottom_channels:
            x, xt = network.channel_downsampler(x), network.channel_downsampler_t(xt)
        return x.view(batch, channels, bins, frames), xt

    def _position_2d(self, width: int, bins: int, frames: int) -> Tensor:
        key = (width, bins, frames)
        if key not in self._positions:
            made = create_2d_sin_embedding(*key, "cpu", self.network.crosstransformer.max_period)
            self._keep(key, made.permute(0, 3, 2, 1).reshape(1, frames * bins, width))
        return self._positions[key]

    def _position(self, length: int, width: int) -> Tensor:
        key = (length, width)
        if key not in self._positions:
            made = create_sin_embedding(length, width, max_period=self.network.crosstransformer.max_period)
            self._keep(key, made.transpose(0, 1))
        return self._positions[key]

    def _keep(self, key: tuple[int, ...], positions: Tensor) -> None:
        self._positions[key] = (self.network.crosstransformer.weight_pos_embed * positions).to(self.dtype)


def _normalised(x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """x less its mean and over its deviation, of each of the batch; mean and deviation, of as many dimensions as x."""
    over = tuple(range(1, x.dim()))
    mean, deviation = x.mean(over, keepdim=True), x.std(over, keepdim=True)
    return ((x - mean) / (EPSILON + deviation)).to(dtype), mean, deviation


def _encode(layer: Any, x: Tensor, merged: Tensor | None = None) -> Tensor:
    """`HEncLayer.forward`; bands of frequencies (`MultiWrap`) go through demucs itself."""
    if type(layer) is not HEncLayer:
        wrapped: Tensor = layer(x, merged)
        return wrapped
    if not layer.freq:
        x = x.flatten(1, 2) if x.dim() == 4 else x
        x = functional.pad(x, (0, -x.shape[-1] % layer.stride))
    y: Tensor = layer.conv(x)
    if layer.empty:
        return y
    if merged is not None:
        y = y + (merged[:, :, None] if y.dim() == 4 else merged)
    y = _residual(layer, functional.gelu(layer.norm1(y)))
    return functional.glu(layer.norm2(layer.rewrite(y)), 1) if layer.rewrite else y


def _decode(layer: Any, x: Tensor, skip: Tensor | None, length: int) -> tuple[Tensor, Tensor]:
    """`HDecLayer.forward`: the layer's output, and what it was just before the transposed convolution."""
    if type(layer) is not HDecLayer:
        wrapped: tuple[Tensor, Tensor] = layer(x, skip, length)
        return wrapped
    if layer.freq and x.dim() == 3:
        x = x.view(x.shape[0], layer.chin, -1, x.shape[-1])
    if skip is not None:
        x = x + skip
        x = _residual(layer, functional.glu(layer.norm1(layer.rewrite(x)), 1) if layer.rewrite else x)
    z = layer.norm2(layer.conv_tr(x))
    end = z.shape[-2] - layer.pad if layer.freq else layer.pad + length
    z = z[..., layer.pad : end, :] if layer.freq else z[..., layer.pad : end]
    return (z if layer.last else functional.gelu(z)), x


def _residual(layer: Any, y: Tensor) -> Tensor:
    """`DConv.forward`, over time, where a layer has one."""
    if not layer.dconv:
        return y
    shape = y.shape
    if layer.freq:
        y = y.permute(0, 2, 1, 3).reshape(-1, shape[1], shape[3])
    for first, norm, _, second, norm_out, _, scale in layer.dconv.layers:
        branch = functional.gelu(norm(first(y)))
        branch = functional.glu(norm_out(second(branch)), 1)
        y = torch.addcmul(y, branch, scale.scale[:, None])
    if layer.freq:
        y = y.view(shape[0], shape[2], shape[1], shape[3]).permute(0, 2, 1, 3)
    return y
