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
        foreach (var folder in touched.Select(path => Path.GetDirectoryName(path)!).Distinct())
        {
            foreach (var file in Directory.EnumerateFiles(folder).Where(file => !own.Contains(file)))
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (await ChildImage.FindParentAsync(file, paths, cancellationToken).ConfigureAwait(false) is string parent
                    && touched.Contains(parent))
                {
                    throw new StorageException(
                        StorageErrorKind.InvalidRequest,
                        $"{file} has it as its parent too and would become unreadable; merge or convert that one first",
                        parent,
                        operation: operation);
                }
            }
        }
    }
}
