"""Components of the app that run in the browser: Python, JavaScript and CSS side by side."""
