-- The shop's own key is a number. HubSpot finds contacts by their email address, in lower case.
create table contacts (
  id bigint generated always as identity primary key,
  email text not null unique check (email = lower(email)),
  first_name text,
  last_name text,
  revenue numeric(12, 2),
  status text
);
-- The log then tells the address of a row that was removed.
alter table contacts replica identity using index contacts_email_key;

insert into contacts (email, first_name, last_name, revenue, status) values
  ('ada@example.com', 'Ada', 'Lovelace', 1250.50, 'NEW'),
  ('grace@example.com', 'Grace', 'Hopper', null, 'OPEN'),
  ('zoe@example.com', 'Zoë', 'Åström', 99, 'CONNECTED');
