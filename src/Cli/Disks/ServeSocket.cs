using System.Net.Sockets;
using System.Text;
using Godwit.Storage;
using Godwit.Storage.Files;

namespace Godwit.Cli.Disks;

/// <summary>A listening unix socket that only its owner may use, from its first moment on; its name goes when it is disposed.</summary>
internal sealed class ServeSocket : IDisposable
{
    // sun_path less its terminator; the socket is bound in a folder beside its place first, and that path must fit too.
    private const int MaxPathBytes = 107;

    private readonly string _path;

    private ServeSocket(Socket listener, string path)
    {
        Listener = listener;
        _path = path;
    }

    /// <summary>The socket.</summary>
    public Socket Listener { get; }

    /// <summary>Makes one.</summary>
    /// <param name="path">Where; must not exist.</param>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.AlreadyExists"/>; <see cref="StorageErrorKind.InvalidRequest"/>:
    /// the path is too long; <see cref="StorageErrorKind.AccessDenied"/>: everybody may write to the folder, or this user may not;
    /// <see cref="StorageErrorKind.NotFound"/>: there is no such folder.</exception>
    public static ServeSocket Bind(string path)
    {
        var parent = Path.GetDirectoryName(path) ?? "/";
        RequirePrivateFolder(parent);
        var folder = Path.Combine(parent, $".{Guid.NewGuid():n}"[..8]);
        RequireLength(path, Path.Combine(folder, "s"));
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            BindIn(listener, folder, path);
            return new ServeSocket(listener, path);
        }
        catch
        {
            listener.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Listener.Dispose();
        LocalFolder.Remove(_path);
    }

    // In a folder nobody else may enter, until the mode is right: then nobody can have connected before.
    private static void BindIn(Socket listener, string folder, string path)
    {
        Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        try
        {
            var place = Path.Combine(folder, "s");
            listener.Bind(new UnixDomainSocketEndPoint(place));
            File.SetUnixFileMode(place, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            listener.Listen();
            LocalFolder.RenameWithoutReplacing(place, path);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void RequirePrivateFolder(string folder)
    {
        if (!Directory.Exists(folder))
            throw new StorageException(StorageErrorKind.NotFound, "no such folder; check the path", folder, operation: "serve");
        if ((File.GetUnixFileMode(folder) & (UnixFileMode.OtherWrite | UnixFileMode.StickyBit)) == UnixFileMode.OtherWrite)
        {
            throw new StorageException(
                StorageErrorKind.AccessDenied,
                "everybody may write to this folder, so somebody else could put a socket in this one's place; choose another folder",
                folder,
                operation: "serve");
        }
    }

    private static void RequireLength(string path, string place)
    {
        var bytes = Math.Max(Encoding.UTF8.GetByteCount(path), Encoding.UTF8.GetByteCount(place));
        if (bytes > MaxPathBytes)
        {
            throw new StorageException(
                StorageErrorKind.InvalidRequest, $"the path needs {bytes} bytes and a unix socket allows {MaxPathBytes}; choose a shorter one",
                path, operation: "serve");
        }
    }
}
