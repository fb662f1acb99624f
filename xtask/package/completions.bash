# The checks and docker contexts that exist now, so the script is made when it is needed.
source <(swarm-doctor completions bash)
