"""The course as pages: static, alive without a kernel, for any web server or none."""
