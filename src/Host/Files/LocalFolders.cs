using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.ControlPlane.Disks;
using Godwit.Host.Interop;

namespace Godwit.Host.Files;

/// <summary>The file system of this computer, with the folders that are out of bounds.</summary>
internal sealed class LocalFolders : IFolders
{
    private static readonly string[] System =
        ["/proc", "/sys", "/dev", "/etc", "/boot", "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/run"];

    private static readonly string[] SystemForBoot = ["/proc", "/sys", "/dev", "/etc", "/run"];

    private const long MaximumSmallFile = 1 << 20;

    private readonly List<string> _own;
    private readonly List<string> _roots;
    private readonly List<string> _system;
    private readonly List<string> _systemForBoot;

    /// <summary>Makes it.</summary>
    /// <param name="own">Folders of the host itself; never a place for disks.</param>
    /// <param name="roots">Folders disks may be in; empty for everything but system folders.</param>
    public LocalFolders(IEnumerable<string> own, IEnumerable<string> roots)
    {
        _own = [.. own.Select(PathResolution.Resolve)];
        _roots = [.. roots.Select(PathResolution.Resolve)];
        // /bin is a link to /usr/bin on some systems: both spellings count.
        _system = [.. System.Concat(System.Select(PathResolution.Resolve)).Distinct()];
        _systemForBoot = [.. SystemForBoot.Concat(SystemForBoot.Select(PathResolution.Resolve)).Distinct()];
    }

    /// <summary>What <see cref="Resolve"/> goes by, for a worker that opens the parents of disks.</summary>
    public ParentFolders ForParents => new(_roots, _roots.Count > 0 ? _own : [.. _own, .. _system]);

    public string Resolve(string path)
    {
        var resolved = PathResolution.Resolve(path);
        var allowed = _roots.Count > 0
            ? _roots.Exists(root => PathResolution.IsWithin(resolved, root))
            : !_system.Exists(root => PathResolution.IsWithin(resolved, root));
        return allowed && !IsOwn(resolved) ? resolved : throw Denied(path, resolved, "Choose another folder, or start godwitd with --allow-root.");
    }

    /// <remarks>Boot files are only read, so --allow-root does not narrow them.</remarks>
    public string ResolveBootFile(string path)
    {
        var resolved = PathResolution.Resolve(path);
        return _systemForBoot.Exists(root => PathResolution.IsWithin(resolved, root)) || IsOwn(resolved)
            ? throw Denied(path, resolved, "Copy the file elsewhere.")
            : resolved;
    }

    public bool FileExists(string path) => Path.Exists(path) && !Directory.Exists(path);

    public bool FolderExists(string path) => Directory.Exists(path);

    public bool IsWritable(string folder) => LibC.IsWritable(DeepestExisting(folder));

    public long AvailableBytes(string folder) => Told(folder, () => new DriveInfo(DeepestExisting(folder)).AvailableFreeSpace);

    public string? FirstMissing(string folder)
    {
        string? missing = null;
        for (var at = folder; !Directory.Exists(at); at = Path.GetDirectoryName(at) ?? "/")
        {
            missing = at;
        }
        return missing;
    }

    public void Create(string folder) => Told(folder, () => Directory.CreateDirectory(folder));

    public void RemoveEmpty(string folder, string top)
    {
        for (var at = folder; PathResolution.IsWithin(at, top); at = Path.GetDirectoryName(at) ?? "/")
        {
            if (!Directory.Exists(at))
            {
                continue;
            }
            if (Directory.EnumerateFileSystemEntries(at).Any())
            {
                return;
            }
            Told(at, () =>
            {
                Directory.Delete(at);
                return 0;
            });
        }
    }

    public void DeleteFile(string path) => Told(path, () =>
    {
        try
        {
            File.Delete(path);
        }
        catch (DirectoryNotFoundException)
        {
            // Gone with its folder.
        }
        return 0;
    });

    public void Rename(string from, string to) => Told(to, () =>
    {
        if (!LibC.TryRename(from, to))
        {
            throw new GodwitException(ErrorCode.AlreadyExists, $"'{to}' exists already.", "Choose another path.");
        }
        LibC.SyncFolder(Path.GetDirectoryName(to) ?? "/");
        return 0;
    });

    public void Link(string from, string to) => Told(to, () =>
    {
        if (!LibC.TryLink(from, to))
        {
            throw new GodwitException(ErrorCode.AlreadyExists, $"'{to}' exists already.");
        }
        LibC.SyncFolder(Path.GetDirectoryName(to) ?? "/");
        return 0;
    });

    public void Write(string path, ReadOnlyMemory<byte> content) => Told(path, () =>
    {
        DurableFile.Write(path, content);
        return 0;
    });

    public Task SyncFileAsync(string path, CancellationToken cancellationToken) => Task.Run(
        () => Told(path, () =>
        {
            using (var file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite))
            {
                RandomAccess.FlushToDisk(file);
            }
            LibC.SyncFolder(Path.GetDirectoryName(path) ?? "/");
            return 0;
        }),
        cancellationToken);

    public byte[]? Read(string path) => Told(path, () =>
    {
        if (!File.Exists(path))
        {
            return null;
        }
        return new FileInfo(path).Length <= MaximumSmallFile ? File.ReadAllBytes(path) : throw new GodwitException(
            ErrorCode.Corrupt, $"'{path}' is larger than {MaximumSmallFile} bytes: it is not what it should be.");
    });

    public IReadOnlyList<string> FindFiles(string folder, string folderName, string extension)
    {
        // A link may lead out of the folders this host allows, or in a circle.
        var options = new EnumerationOptions
        {
            RecurseSubdirectories = true,
            MaxRecursionDepth = 4,
            IgnoreInaccessible = true,
            AttributesToSkip = FileAttributes.ReparsePoint,
        };
        return !Directory.Exists(folder) ? [] : Told(folder, () => Directory.EnumerateFiles(folder, "*" + extension, options)
            .Where(file => Path.GetFileName(Path.GetDirectoryName(file)) == folderName)
            .Order(StringComparer.Ordinal).ToArray());
    }

    private static string DeepestExisting(string folder)
    {
        var at = folder;
        while (!Directory.Exists(at))
        {
            at = Path.GetDirectoryName(at) ?? "/";
        }
        return at;
    }

    private bool IsOwn(string resolved) => _own.Exists(root => PathResolution.IsWithin(resolved, root));

    private static GodwitException Denied(string path, string resolved, string remedy)
    {
        var through = resolved == path ? "" : $" (it leads to '{resolved}')";
        return new GodwitException(ErrorCode.AccessDenied, $"'{path}' is outside the folders this host allows{through}.", remedy);
    }

    private static T Told<T>(string path, Func<T> act)
    {
        try
        {
            return act();
        }
        catch (UnauthorizedAccessException e)
        {
            throw new GodwitException(new Problem(ErrorCode.AccessDenied, $"'{path}': {e.Message}"), e);
        }
        catch (IOException e)
        {
            throw new GodwitException(new Problem(ErrorCode.IoFailed, $"'{path}': {e.Message}"), e);
        }
    }
}
