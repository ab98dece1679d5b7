/** The page's own script: the theme button and the enlarged pictures. Without it the page still shows everything. */
export const PAGE_SCRIPT = `
const root = document.documentElement;
const button = document.getElementById('theme');
const dark = () => root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
const name = () => { button.textContent = dark() ? 'light' : 'dark'; };
button.hidden = false;
button.addEventListener('click', () => { root.dataset.theme = dark() ? 'light' : 'dark'; name(); });
name();
const dialog = document.querySelector('dialog');
const large = dialog.querySelector('img');
const caption = dialog.querySelector('p');
let images = [];
let index = 0;
const show = () => {
  const image = images[index];
  large.src = image.src;
  large.alt = image.alt;
  large.style.imageRendering = image.naturalWidth < 160 ? 'pixelated' : 'auto';
  caption.textContent = image.alt + '  (' + (index + 1) + ' of ' + images.length + ')';
};
for (const image of document.querySelectorAll('.picture img')) {
  image.tabIndex = 0;
  const open = () => {
    images = [...image.closest('.strip').querySelectorAll('.picture img')];
    index = images.indexOf(image);
    show();
    dialog.showModal();
  };
  image.addEventListener('click', open);
  image.addEventListener('keydown', (event) => { if (event.key === 'Enter') open(); });
}
dialog.addEventListener('click', () => dialog.close());
dialog.addEventListener('keydown', (event) => {
  const move = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!move) return;
  event.preventDefault();
  index = (index + move + images.length) % images.length;
  show();
});
`;
