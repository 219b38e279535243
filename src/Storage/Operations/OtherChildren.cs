using Godwit.Storage.Chains;

namespace Godwit.Storage.Operations;

/// <summary>Looks for images that would lose their parent by a change of it.</summary>
internal static class OtherChildren
{
    /// <summary>Refuses when other images in the folders of the files have one of them as their parent.</summary>
    /// <param name="touched">The files that are to change, absolute.</param>
    /// <param name="own">Files that belong to the operation.</param>
    /// <param name="paths">Where Windows' drives and shares are on this computer.</param>
    /// <param name="operation">The operation in one word.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="StorageException">InvalidRequest, naming one of them.</exception>
    public static async ValueTask RequireNoneAsync(
        IReadOnlySet<string> touched, IReadOnlySet<string> own, PathMap paths, string operation, CancellationToken cancellationToken)
    {
        if (await FindAsync(touched, own, paths, cancellationToken).ConfigureAwait(false) is var (child, parent))
        {
            throw new StorageException(
                StorageErrorKind.InvalidRequest,
                $"{child} has it as its parent too and would become unreadable; merge or convert that one first",
                parent,
                operation: operation);
        }
    }

    /// <summary>The first other image in the folders of the files that has one of them as its parent, and that parent; null when there
    /// is none.</summary>
    /// <inheritdoc cref="RequireNoneAsync"/>
    public static async ValueTask<(string Child, string Parent)?> FindAsync(
        IReadOnlySet<string> touched, IReadOnlySet<string> own, PathMap paths, CancellationToken cancellationToken)
    {
        foreach (var folder in touched.Select(path => Path.GetDirectoryName(path)!).Distinct())
        {
            foreach (var file in Directory.EnumerateFiles(folder).Where(file => !own.Contains(file)))
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (await ChildImage.FindParentAsync(file, paths, cancellationToken).ConfigureAwait(false) is string found
                    && Path.GetFullPath(found) is var parent && touched.Contains(parent))
                {
                    return (file, parent);
                }
            }
        }

        return null;
    }
}
