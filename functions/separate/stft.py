"""The short-time Fourier transform of HTDemucs and its inverse, for segments of one length."""

import math

import torch
from torch import Tensor
from torch.nn import functional

OVERLAPPING = 4  # frames over each sample: the hop is a quarter of the window
DROPPED = 2  # frames at each end, which demucs leaves out


class Stft:
    """`HTDemucs._spec` and `_ispec`: a Hann window, orthonormal, without the Nyquist bin."""

    def __init__(self, window: int, length: int, device: str = "cpu") -> None:
        self.window = torch.hann_window(window, device=device)
        self.hop = window // OVERLAPPING
        self.length = length
        self.frames = math.ceil(length / self.hop)
        self._pad = self.hop // 2 * 3  # demucs' own padding; torch's centring adds half a window more
        self._start = window // 2 + self._pad
        self._weight = self._overlapped(self.window.square().expand(self.frames + 2 * DROPPED, -1), 0)
        self._weight = self._weight[self._start : self._start + length]
        spectra = torch.ones(self.frames, window // 2 + 1, 2, device=device)
        spectra[:, -1] = 0
        self.constant = self.inverse(torch.view_as_complex(spectra))  # the audio of spectra that are 1 + 1j everywhere

    def forward(self, audio: Tensor) -> Tensor:
        """Audio (..., length) as complex spectra (..., frames, bins)."""
        padded = functional.pad(audio, (self._pad, self._pad + self.frames * self.hop - self.length), mode="reflect")
        half = self.window.shape[0] // 2
        centred = functional.pad(padded, (half, half), mode="reflect")
        frames = centred.unfold(-1, self.window.shape[0], self.hop)[..., DROPPED : DROPPED + self.frames, :]
        spectra: Tensor = torch.fft.rfft(frames * self.window, norm="ortho")[..., :-1]
        return spectra

    def inverse(self, spectra: Tensor) -> Tensor:
        """Complex spectra (..., frames, bins + 1), with the Nyquist bin, as audio (..., length); they are changed.

        A real signal has no imaginary part at frequency 0. A CPU's FFT leaves out what is there, cuFFT does not.
        """
        torch.view_as_real(spectra)[..., 0, 1] = 0
        frames = torch.fft.irfft(spectra, self.window.shape[0], norm="ortho").mul_(self.window)
        audio = self._overlapped(frames, DROPPED)[..., self._start : self._start + self.length]
        return audio / self._weight

    def _overlapped(self, frames: Tensor, before: int) -> Tensor:
        """The sum of frames (..., n, window), each a hop after the last and the first `before` hops from the start."""
        count = frames.shape[-2]
        rows = frames.new_zeros(*frames.shape[:-2], before + count + OVERLAPPING - 1 + before, self.hop)
        for k in range(OVERLAPPING):
            rows[..., before + k : before + k + count, :] += frames[..., k * self.hop : (k + 1) * self.hop]
        return rows.flatten(-2)
