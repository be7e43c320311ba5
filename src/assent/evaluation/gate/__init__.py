"""The release gate: what a policy must gain and must not lose, decided from outcomes, with a dossier that replays."""
