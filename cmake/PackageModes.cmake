# Folders of the package are everybody's to read, whatever the umask of who makes it: with 077, say, dpkg would close the
# machine's own /usr to everybody but root where the package is the first to make a folder.
file(CHMOD_RECURSE ${CPACK_TEMPORARY_INSTALL_DIRECTORY} DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
