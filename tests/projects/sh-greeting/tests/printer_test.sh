echo "needs a printer"
exit 77
