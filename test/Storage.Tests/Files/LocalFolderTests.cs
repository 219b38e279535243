using Godwit.Storage.Files;
using Godwit.Testing;
using Xunit;

namespace Godwit.Storage.Tests.Files;

public sealed class LocalFolderTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_rename_never_replaces()
    {
        File.WriteAllText(_folder.File("a"), "a");
        File.WriteAllText(_folder.File("b"), "b");
        Assert.Equal(StorageErrorKind.AlreadyExists, Rename("a", "b").Kind);
        Assert.Equal("b", File.ReadAllText(_folder.File("b")));
        LocalFolder.RenameWithoutReplacing(_folder.File("a"), _folder.File("c"));
        Assert.Equal("a", File.ReadAllText(_folder.File("c")));
        Assert.Equal(StorageErrorKind.NotFound, Rename("a", "d").Kind);
    }

    [Fact]
    public void A_rename_to_another_file_system_says_so()
    {
        Assert.SkipUnless(Directory.Exists("/dev/shm"), "there is no second file system at /dev/shm");
        using var other = new TempFolder("/dev/shm");
        File.WriteAllText(_folder.File("a"), "a");
        var error = Assert.Throws<StorageException>(() => LocalFolder.RenameWithoutReplacing(_folder.File("a"), other.File("a")));
        Assert.Equal(StorageErrorKind.Unsupported, error.Kind);
    }

    [Fact]
    public void An_atomic_write_replaces_the_content_and_leaves_nothing_else()
    {
        var path = _folder.File("state");
        LocalFolder.WriteAtomically(path, "one"u8);
        File.WriteAllText(path + ".new", "left by a crash");
        LocalFolder.WriteAtomically(path, "two"u8);
        Assert.Equal("two", File.ReadAllText(path));
        Assert.Equal([path], Directory.GetFiles(_folder.Path));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
    }

    [Fact]
    public void An_atomic_write_that_fails_leaves_the_old_content()
    {
        // A folder with that name cannot be replaced by a file.
        var path = _folder.File("state");
        Directory.CreateDirectory(path);
        Assert.Throws<StorageException>(() => LocalFolder.WriteAtomically(path, "two"u8));
        Assert.True(Directory.Exists(path));
        Assert.False(File.Exists(path + ".new"));
        var missing = Assert.Throws<StorageException>(() => LocalFolder.WriteAtomically(_folder.File("no/state"), "two"u8));
        Assert.Equal(StorageErrorKind.NotFound, missing.Kind);
    }

    [Fact]
    public void Free_space_is_told_and_a_missing_folder_is_an_error()
    {
        Assert.True(LocalFolder.AvailableBytes(_folder.Path) > 0);
        LocalFolder.Sync(_folder.Path);
        Assert.Equal(
            StorageErrorKind.NotFound, Assert.Throws<StorageException>(() => LocalFolder.AvailableBytes(_folder.File("no"))).Kind);
        Assert.Equal(StorageErrorKind.NotFound, Assert.Throws<StorageException>(() => LocalFolder.Sync(_folder.File("no"))).Kind);
    }

    private StorageException Rename(string from, string to) =>
        Assert.Throws<StorageException>(() => LocalFolder.RenameWithoutReplacing(_folder.File(from), _folder.File(to)));
}
