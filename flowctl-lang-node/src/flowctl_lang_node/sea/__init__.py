"""Single executables of Node.js (https://nodejs.org/api/single-executable-applications.html)."""
