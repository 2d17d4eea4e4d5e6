# SPDX-License-Identifier: ISC
"""What tools/make-series is made of."""
